"""Code generated from `proto/` by `tools/proto.py`: change it there."""
