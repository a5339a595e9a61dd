// Command ics23check verifies chained ICS-23 proofs with the reference implementation.
//
// Each line of standard input is a JSON question, and each line of standard output the JSON verdict on it. The chain
// of checks is the one that ibc-go runs (modules/core/23-commitment, MerkleProof): the proof of the key under the root
// of its store, then the proof of that root under the app hash.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	ics23 "github.com/cosmos/ics23/go"
)

// question asks whether a value is, or nothing is, at [Store, Key] under Root. All bytes are in hex.
type question struct {
	Root   string   `json:"root"`
	Store  string   `json:"store"`
	Key    string   `json:"key"`
	Value  *string  `json:"value"` // null asks for absence
	Proofs []string `json:"proofs"`
}

// verdict is the answer to a question.
type verdict struct {
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason"`
}

func decode(text string) []byte {
	data, err := hex.DecodeString(text)
	if err != nil {
		panic(fmt.Sprintf("question is not hex: %v", err))
	}
	return data
}

func verify(q question) error {
	if len(q.Proofs) != 2 {
		return errors.New("expected two proofs")
	}
	var keyProof, storeProof ics23.CommitmentProof
	if err := keyProof.Unmarshal(decode(q.Proofs[0])); err != nil {
		return err
	}
	if err := storeProof.Unmarshal(decode(q.Proofs[1])); err != nil {
		return err
	}
	key := decode(q.Key)
	storeRoot, err := keyProof.Calculate()
	if err != nil {
		return err
	}
	if q.Value == nil {
		absence := keyProof.GetNonexist()
		if absence == nil {
			return errors.New("expected a proof of absence")
		}
		if err := absence.Verify(ics23.IavlSpec, storeRoot, key); err != nil {
			return err
		}
	} else {
		presence := keyProof.GetExist()
		if presence == nil {
			return errors.New("expected a proof of presence")
		}
		if err := presence.Verify(ics23.IavlSpec, storeRoot, key, decode(*q.Value)); err != nil {
			return err
		}
	}
	storePresence := storeProof.GetExist()
	if storePresence == nil {
		return errors.New("expected a proof that the store is present")
	}
	appHash, err := storePresence.Calculate()
	if err != nil {
		return err
	}
	if err := storePresence.Verify(ics23.TendermintSpec, appHash, decode(q.Store), storeRoot); err != nil {
		return err
	}
	if !bytes.Equal(appHash, decode(q.Root)) {
		return errors.New("the proofs lead to another root")
	}
	return nil
}

func answer(q question) (result verdict) {
	defer func() {
		if cause := recover(); cause != nil {
			result = verdict{false, fmt.Sprintf("panic: %v", cause)}
		}
	}()
	if err := verify(q); err != nil {
		return verdict{false, err.Error()}
	}
	return verdict{true, ""}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	questions := json.NewDecoder(bufio.NewReader(os.Stdin))
	verdicts := json.NewEncoder(out)
	for questions.More() {
		var q question
		if err := questions.Decode(&q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			out.Flush()
			os.Exit(1)
		}
		if err := verdicts.Encode(answer(q)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
