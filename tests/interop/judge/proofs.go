package main

import (
	"errors"

	commitmenttypes "github.com/cosmos/ibc-go/v11/modules/core/23-commitment/types"
	commitmenttypesv2 "github.com/cosmos/ibc-go/v11/modules/core/23-commitment/types/v2"
	ics23 "github.com/cosmos/ics23/go"
)

// proofCase asks whether a tree maps a key to a value, or to nothing where the value is null.
type proofCase struct {
	Spec  []byte  `json:"spec"`
	Root  []byte  `json:"root"`
	Proof []byte  `json:"proof"`
	Key   []byte  `json:"key"`
	Value *[]byte `json:"value"`
}

// chainCase asks the same of nested trees.
type chainCase struct {
	Specs [][]byte `json:"specs"` // innermost first
	Root  []byte   `json:"root"`
	Proof []byte   `json:"proof"` // ibc.core.commitment.v1.MerkleProof
	Path  [][]byte `json:"path"`  // outermost first
	Value *[]byte  `json:"value"`
}

func judgeProof(c proofCase) (any, error) {
	var spec ics23.ProofSpec
	if err := spec.Unmarshal(c.Spec); err != nil {
		return nil, err
	}
	var proof ics23.CommitmentProof
	if err := proof.Unmarshal(c.Proof); err != nil {
		return refuse(err), nil
	}
	var accepted bool
	if c.Value == nil {
		accepted = ics23.VerifyNonMembership(&spec, c.Root, &proof, c.Key)
	} else {
		accepted = ics23.VerifyMembership(&spec, c.Root, &proof, c.Key, *c.Value)
	}
	if !accepted {
		return refuse(errors.New("the proof does not verify")), nil
	}
	return accept(), nil
}

func judgeChain(c chainCase) (any, error) {
	specs := make([]*ics23.ProofSpec, len(c.Specs))
	for i, encoded := range c.Specs {
		specs[i] = new(ics23.ProofSpec)
		if err := specs[i].Unmarshal(encoded); err != nil {
			return nil, err
		}
	}
	var proof commitmenttypes.MerkleProof
	if err := proof.Unmarshal(c.Proof); err != nil {
		return refuse(err), nil
	}
	root, path := commitmenttypes.NewMerkleRoot(c.Root), commitmenttypesv2.NewMerklePath(c.Path...)
	if c.Value == nil {
		return judge(proof.VerifyNonMembership(specs, root, path)), nil
	}
	return judge(proof.VerifyMembership(specs, root, path, *c.Value)), nil
}
