// Command lightclient says how long CometBFT's light client takes to verify a header.
//
// Each line of standard input is a JSON question; each line of standard output is the answer to it: the seconds of
// processor time of one verification, or why the header does not verify. Bytes are in Base64. A verification starts
// from encoded bytes. Nothing else runs meanwhile, and no garbage is collected.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	cmtmath "github.com/cometbft/cometbft/libs/math"
	"github.com/cometbft/cometbft/light"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// question is a header, and what is trusted when it is shown.
type question struct {
	Count              int    `json:"count"` // verifications in a row, over which time is averaged
	ChainID            string `json:"chain_id"`
	TrustedHeight      int64  `json:"trusted_height"`
	TrustedTime        int64  `json:"trusted_time_ns"` // Unix nanoseconds
	NextValidatorsHash []byte `json:"next_validators_hash"`
	TrustNumerator     uint64 `json:"trust_numerator"`
	TrustDenominator   uint64 `json:"trust_denominator"`
	TrustingPeriod     int64  `json:"trusting_period_ns"`
	MaxClockDrift      int64  `json:"max_clock_drift_ns"`
	Now                int64  `json:"now_ns"`
	LightBlock         []byte `json:"light_block"`        // tendermint.types.LightBlock
	TrustedValidators  []byte `json:"trusted_validators"` // tendermint.types.ValidatorSet
}

type answer struct {
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error"`
}

func instant(ns int64) time.Time { return time.Unix(0, ns).UTC() }

func (q question) decode() (*types.LightBlock, *types.ValidatorSet, error) {
	var block cmtproto.LightBlock
	if err := block.Unmarshal(q.LightBlock); err != nil {
		return nil, nil, err
	}
	untrusted, err := types.LightBlockFromProto(&block)
	if err != nil {
		return nil, nil, err
	}
	var set cmtproto.ValidatorSet
	if err := set.Unmarshal(q.TrustedValidators); err != nil {
		return nil, nil, err
	}
	trusted, err := types.ValidatorSetFromProto(&set)
	return untrusted, trusted, err
}

// verify is what a client does that is shown an update: the trusted validators, which come with it, are those that the
// trusted state announced, and the header follows from that state.
func (q question) verify() error {
	untrusted, validators, err := q.decode()
	if err != nil {
		return err
	}
	if !bytes.Equal(validators.Hash(), q.NextValidatorsHash) {
		return errors.New("trusted validators have another hash")
	}
	start := &types.SignedHeader{Header: &types.Header{
		ChainID:            q.ChainID,
		Height:             q.TrustedHeight,
		Time:               instant(q.TrustedTime),
		NextValidatorsHash: q.NextValidatorsHash,
	}}
	level := cmtmath.Fraction{Numerator: q.TrustNumerator, Denominator: q.TrustDenominator}
	return light.Verify(
		start, validators, untrusted.SignedHeader, untrusted.ValidatorSet,
		time.Duration(q.TrustingPeriod), instant(q.Now), time.Duration(q.MaxClockDrift), level,
	)
}

// processorTime is that of the whole process.
func processorTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

func measure(q question) (float64, error) {
	runtime.GC()
	begin, err := processorTime()
	if err != nil {
		return 0, err
	}
	for range q.Count {
		if err := q.verify(); err != nil {
			return 0, err
		}
	}
	end, err := processorTime()
	return (end - begin).Seconds() / float64(q.Count), err
}

func serve() error {
	in, encoder := bufio.NewReaderSize(os.Stdin, 1<<20), json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) == 0 && err != nil {
			return nil
		}
		var q question
		if err := json.Unmarshal(line, &q); err != nil {
			return err
		}
		if q.Count < 1 {
			return fmt.Errorf("expected a count from 1, got %d", q.Count)
		}
		var given answer
		if given.Seconds, err = measure(q); err != nil {
			given = answer{Error: err.Error()}
		}
		if err := encoder.Encode(given); err != nil {
			return err
		}
	}
}

func main() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(-1)
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
