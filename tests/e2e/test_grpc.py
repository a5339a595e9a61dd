"""What a node says of itself over gRPC to clients that know nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

if TYPE_CHECKING:
    from tests.support.e2e_network import SmallNetwork

pytestmark = pytest.mark.localnet

COMMON = {"gradchain.node.v1.NodeService", "gradchain.ibc.v1.IbcService"}
STANDARD = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
OWN = {"hub": {"gradchain.hub.v1.HubService"}, "shard-0": {"gradchain.shard.v1.ShardService"}}


@pytest.mark.parametrize("chain", ["hub", "shard-0"])
def test_reflection_lists_exactly_the_services_of_a_node(network: SmallNetwork, chain: str) -> None:
    with grpc.insecure_channel(network.localnet.chains[chain].grpc_addresses[0]) as channel:
        listed = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert sorted(listed) == sorted(COMMON | STANDARD | OWN[chain])


@pytest.mark.parametrize("chain", ["hub", "shard-0"])
def test_reflection_describes_every_message_of_a_service(network: SmallNetwork, chain: str) -> None:
    with grpc.insecure_channel(network.localnet.chains[chain].grpc_addresses[0]) as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        for name in sorted(COMMON | OWN[chain]):
            service = pool.FindServiceByName(name)  # type: ignore[no-untyped-call]
            assert service.methods
            assert all(method.input_type.full_name and method.output_type.file for method in service.methods)


@pytest.mark.parametrize("chain", ["hub", "shard-0"])
def test_a_node_and_each_of_its_services_say_that_they_serve(network: SmallNetwork, chain: str) -> None:
    with grpc.insecure_channel(network.localnet.chains[chain].grpc_addresses[0]) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        for name in ("", *sorted(COMMON | OWN[chain])):
            answer = check(health_pb2.HealthCheckRequest(service=name), timeout=30)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, name
