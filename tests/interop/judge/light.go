package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	cmtmath "github.com/cometbft/cometbft/libs/math"
	"github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/types"
	"github.com/cosmos/cosmos-sdk/codec"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	clienttypes "github.com/cosmos/ibc-go/v11/modules/core/02-client/types"
	commitmenttypes "github.com/cosmos/ibc-go/v11/modules/core/23-commitment/types"
	host "github.com/cosmos/ibc-go/v11/modules/core/24-host"
	"github.com/cosmos/ibc-go/v11/modules/core/exported"
	tendermint "github.com/cosmos/ibc-go/v11/modules/light-clients/07-tendermint"
)

// trustedState is what a client knows of one height.
type trustedState struct {
	Height             uint64 `json:"height"`
	Time               int64  `json:"time_ns"` // Unix nanoseconds
	Root               []byte `json:"root"`
	NextValidatorsHash []byte `json:"next_validators_hash"`
}

// client is a 07-tendermint client at an instant.
type client struct {
	ChainID          string         `json:"chain_id"`
	TrustNumerator   uint64         `json:"trust_numerator"`
	TrustDenominator uint64         `json:"trust_denominator"`
	TrustingPeriod   int64          `json:"trusting_period_ns"`
	MaxClockDrift    int64          `json:"max_clock_drift_ns"`
	Trusted          []trustedState `json:"trusted"`
	Now              int64          `json:"now_ns"`
}

// updateCase is a header that a client is shown.
type updateCase struct {
	client
	Header []byte `json:"header"`
}

// misbehaviourCase is a pair of headers that a client is shown as evidence.
type misbehaviourCase struct {
	client
	Misbehaviour []byte `json:"misbehaviour"`
}

// memoryStore is as much of a store as verification reads.
type memoryStore struct {
	storetypes.KVStore
	values map[string][]byte
}

func (s memoryStore) Get(key []byte) []byte { return s.values[string(key)] }

var messageCodec = func() codec.BinaryCodec {
	registry := codectypes.NewInterfaceRegistry()
	tendermint.RegisterInterfaces(registry)
	return codec.NewProtoCodec(registry)
}()

func instant(ns int64) time.Time { return time.Unix(0, ns).UTC() }

func (c client) state() *tendermint.ClientState {
	period := time.Duration(c.TrustingPeriod)
	level := tendermint.Fraction{Numerator: c.TrustNumerator, Denominator: c.TrustDenominator}
	latest := c.height(c.Trusted[len(c.Trusted)-1])
	return tendermint.NewClientState(
		c.ChainID, level, period, period+1, time.Duration(c.MaxClockDrift), latest, commitmenttypes.GetSDKSpecs(), nil,
	)
}

func (c client) height(known trustedState) clienttypes.Height {
	return clienttypes.NewHeight(clienttypes.ParseChainID(c.ChainID), known.Height)
}

func (c client) store() memoryStore {
	store := memoryStore{values: map[string][]byte{}}
	for _, known := range c.Trusted {
		root := commitmenttypes.NewMerkleRoot(known.Root)
		state := tendermint.NewConsensusState(instant(known.Time), root, known.NextValidatorsHash)
		store.values[string(host.ConsensusStateKey(c.height(known)))] =
			clienttypes.MustMarshalConsensusState(messageCodec, state)
	}
	return store
}

func (c client) context() sdk.Context { return sdk.Context{}.WithBlockTime(instant(c.Now)) }

func classify(err error) judgement {
	var untrusted light.ErrNewValSetCantBeTrusted
	if errors.As(err, &untrusted) {
		return judgement{"untrusted", err.Error()}
	}
	return judge(err)
}

// verifyByIBC is what ibc-go does with the message of a client update before it changes any state.
func verifyByIBC(c client, message exported.ClientMessage) error {
	if err := message.ValidateBasic(); err != nil {
		return err
	}
	return c.state().VerifyClientMessage(c.context(), messageCodec, c.store(), message)
}

// verifyByLight is CometBFT's light client, after the checks that it leaves to its callers: the light block is valid
// by itself, and the trusted validators are those that the trusted state announced.
func verifyByLight(c client, header *tendermint.Header) error {
	known := c.Trusted[0]
	if header.TrustedHeight != c.height(known) {
		return fmt.Errorf("trusted height is %v", header.TrustedHeight)
	}
	trusted, err := types.ValidatorSetFromProto(header.TrustedValidators)
	if err != nil {
		return err
	}
	if !bytes.Equal(trusted.Hash(), known.NextValidatorsHash) {
		return errors.New("trusted validators have another hash")
	}
	signed, err := types.SignedHeaderFromProto(header.SignedHeader)
	if err != nil {
		return err
	}
	validators, err := types.ValidatorSetFromProto(header.ValidatorSet)
	if err != nil {
		return err
	}
	block := types.LightBlock{SignedHeader: signed, ValidatorSet: validators}
	if err := block.ValidateBasic(c.ChainID); err != nil {
		return err
	}
	start := &types.SignedHeader{Header: &types.Header{
		ChainID:            c.ChainID,
		Height:             int64(known.Height),
		Time:               instant(known.Time),
		NextValidatorsHash: known.NextValidatorsHash,
	}}
	period, now, drift := time.Duration(c.TrustingPeriod), instant(c.Now), time.Duration(c.MaxClockDrift)
	if signed.Height == start.Height+1 {
		return light.VerifyAdjacent(start, signed, validators, period, now, drift)
	}
	level := cmtmath.Fraction{Numerator: c.TrustNumerator, Denominator: c.TrustDenominator}
	return light.VerifyNonAdjacent(start, trusted, signed, validators, period, now, drift, level)
}

func judgeUpdate(c updateCase) (any, error) {
	var header tendermint.Header
	if err := header.Unmarshal(c.Header); err != nil {
		return map[string]judgement{"ibc": refuse(err), "light": refuse(err)}, nil
	}
	return map[string]judgement{
		"ibc":   classify(verifyByIBC(c.client, &header)),
		"light": classify(verifyByLight(c.client, &header)),
	}, nil
}

func judgeMisbehaviour(c misbehaviourCase) (any, error) {
	var evidence tendermint.Misbehaviour
	if err := evidence.Unmarshal(c.Misbehaviour); err != nil {
		return refuse(err), nil
	}
	if err := verifyByIBC(c.client, &evidence); err != nil {
		return refuse(err), nil
	}
	if !c.state().CheckForMisbehaviour(c.context(), messageCodec, c.store(), &evidence) {
		return refuse(errors.New("the headers do not contradict each other")), nil
	}
	return accept(), nil
}
