// Command evaluator says what Prometheus makes of rules and expressions: its own parser, rule format, engine and
// templates.
//
// Standard input is one JSON question {"mode": ..., "case": {...}}; standard output is the answer to it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type question struct {
	Mode string          `json:"mode"`
	Case json.RawMessage `json:"case"`
}

func handle[Case any](raw json.RawMessage, answer func(Case) (any, error)) (any, error) {
	var c Case
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	return answer(c)
}

func respond(q question) (any, error) {
	switch q.Mode {
	case "rules":
		return handle(q.Case, readRules)
	case "parse":
		return handle(q.Case, parseAll)
	case "query":
		return handle(q.Case, queryAll)
	case "alerts":
		return handle(q.Case, runAlerts)
	}
	return nil, fmt.Errorf("unknown mode %q", q.Mode)
}

func run() error {
	var q question
	if err := json.NewDecoder(os.Stdin).Decode(&q); err != nil {
		return err
	}
	answer, err := respond(q)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
