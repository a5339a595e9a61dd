package main

import (
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	"github.com/cosmos/iavl"
	iavldb "github.com/cosmos/iavl/db"
)

// write sets a key, or removes it where the value is null.
type write struct {
	Key   []byte  `json:"key"`
	Value *[]byte `json:"value"`
}

// treeCase asks for an IAVL tree made of versions of writes, and for the proofs of keys in the last one.
type treeCase struct {
	Versions [][]write `json:"versions"`
	Keys     [][]byte  `json:"keys"`
}

type treeAnswer struct {
	Root   []byte   `json:"root"`
	Proofs [][]byte `json:"proofs"` // of presence or absence, whichever is true
}

// storesCase asks for the app hash of stores with these roots, and for the proof of each.
type storesCase struct {
	Roots map[string][]byte `json:"roots"`
}

type storesAnswer struct {
	AppHash []byte            `json:"app_hash"`
	Proofs  map[string][]byte `json:"proofs"`
}

func buildTree(c treeCase) (any, error) {
	tree := iavl.NewMutableTree(iavldb.NewMemDB(), 100, true, iavl.NewNopLogger())
	for _, writes := range c.Versions {
		for _, w := range writes {
			var err error
			if w.Value == nil {
				_, _, err = tree.Remove(w.Key)
			} else {
				_, err = tree.Set(w.Key, *w.Value)
			}
			if err != nil {
				return nil, err
			}
		}
		if _, _, err := tree.SaveVersion(); err != nil {
			return nil, err
		}
	}
	answer := treeAnswer{Root: tree.Hash(), Proofs: [][]byte{}}
	for _, key := range c.Keys {
		proof, err := tree.GetProof(key)
		if err != nil {
			return nil, err
		}
		encoded, err := proof.Marshal()
		if err != nil {
			return nil, err
		}
		answer.Proofs = append(answer.Proofs, encoded)
	}
	return answer, nil
}

func buildStores(c storesCase) (any, error) {
	info := storetypes.CommitInfo{Version: 1}
	for name, root := range c.Roots {
		id := storetypes.CommitID{Version: 1, Hash: root}
		info.StoreInfos = append(info.StoreInfos, storetypes.StoreInfo{Name: name, CommitId: id})
	}
	answer := storesAnswer{AppHash: info.Hash(), Proofs: map[string][]byte{}}
	for name := range c.Roots {
		answer.Proofs[name] = info.ProofOp(name).Data
	}
	return answer, nil
}
