"""A shard on real nodes with rounds that wait for updates, and a hub that has done its part.

The rounds are opened the real way: tasks on the hub, participants that register, packets with proofs.  They are
carried by hand, and then the hub is stopped: while updates are measured, nothing else runs.  In each round one
participant more is assigned than will send, so that no round closes under measurement.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.client import ChainConnection
from abci_app.nodehome import save_config
from abci_app.process import read_pid_file
from abci_app.supervisor import PROCESS_KINDS
from aggregation.constants import PARAMS_PER_BLOB
from aggregation.model import encode_model, model_root, to_fixed
from bench.errors import LoadLost, NetworkStalled
from bench.material import sign_update
from localnet.demo.carry import Side, carry
from localnet.keys import derive_key
from localnet.manifest import parse_manifest
from localnet.network import Localnet
from localnet.relay import write_relayer_config
from participant.tasks import create_task, upload_model
from participant.updates import Assignment
from relayer.config import load_config
from relayer.service import link_chains
from tx.codec import encode
from tx.envelope import make_tx
from wire.gradchain.fl.v1 import task_pb2, update_pb2
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.gradchain.ibc.v1 import query_pb2 as ibc_query
from wire.gradchain.node.v1 import query_pb2 as node_query
from wire.gradchain.shard.v1 import query_pb2 as shard_query
from wire.gradchain.tx.v1 import tx_pb2
