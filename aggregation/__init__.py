"""The arithmetic of federated learning in integers: quantise, pack, commit, weigh, add up, step."""
