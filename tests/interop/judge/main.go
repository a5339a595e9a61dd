// Command judge says what the reference implementations of CometBFT and IBC make of a case.
//
// Each line of standard input is a JSON question {"mode": ..., "case": {...}}; each line of standard output is the
// answer to it, {"answer": ...}, or {"panic": ...} where the reference implementation panicked. Bytes are in Base64.
// Answers are flushed whenever no question waits, so one process serves a conversation as well as a batch.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

type question struct {
	Mode string          `json:"mode"`
	Case json.RawMessage `json:"case"`
}

type reply struct {
	Answer any    `json:"answer,omitempty"`
	Panic  string `json:"panic,omitempty"`
}

// judgement is an opinion on a case: "verified", "untrusted" (other headers are needed first) or "invalid".
type judgement struct {
	Verdict string `json:"verdict"`
	Reason  string `json:"reason"`
}

func accept() judgement { return judgement{"verified", ""} }

func refuse(err error) judgement { return judgement{"invalid", err.Error()} }

func judge(err error) judgement {
	if err != nil {
		return refuse(err)
	}
	return accept()
}

// handler answers one kind of question; its error means that the question itself is malformed.
type handler func(raw json.RawMessage) (any, error)

func handle[Case any](answer func(Case) (any, error)) handler {
	return func(raw json.RawMessage) (any, error) {
		var c Case
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, err
		}
		return answer(c)
	}
}

var handlers = map[string]handler{
	"update":          handle(judgeUpdate),
	"misbehaviour":    handle(judgeMisbehaviour),
	"proof":           handle(judgeProof),
	"chain":           handle(judgeChain),
	"iavl":            handle(buildTree),
	"stores":          handle(buildStores),
	"packet":          handle(commitPacket),
	"acknowledgement": handle(commitAcknowledgement),
}

func respond(q question) (result reply, err error) {
	answer, known := handlers[q.Mode]
	if !known {
		return reply{}, fmt.Errorf("unknown mode %q", q.Mode)
	}
	defer func() {
		if cause := recover(); cause != nil {
			result = reply{Panic: fmt.Sprint(cause)}
		}
	}()
	content, err := answer(q.Case)
	return reply{Answer: content}, err
}

func serve() error {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			return out.Flush()
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			return err
		}
		answered, err := respond(q)
		if err != nil {
			return err
		}
		if err := encoder.Encode(answered); err != nil {
			return err
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
