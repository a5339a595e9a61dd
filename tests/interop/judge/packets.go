package main

import (
	channeltypes "github.com/cosmos/ibc-go/v11/modules/core/04-channel/v2/types"
	hostv2 "github.com/cosmos/ibc-go/v11/modules/core/24-host/v2"
)

// packetCase asks for what is stored of a packet, and where.
type packetCase struct {
	Packet []byte `json:"packet"`
}

type packetAnswer struct {
	Commitment         []byte    `json:"commitment"`
	CommitmentKey      []byte    `json:"commitment_key"`
	ReceiptKey         []byte    `json:"receipt_key"`
	AcknowledgementKey []byte    `json:"acknowledgement_key"`
	Form               judgement `json:"form"`
}

// acknowledgementCase asks for what is stored of an acknowledgement.
type acknowledgementCase struct {
	Acknowledgement []byte `json:"acknowledgement"`
}

type acknowledgementAnswer struct {
	Commitment []byte    `json:"commitment"`
	Form       judgement `json:"form"`
}

func commitPacket(c packetCase) (any, error) {
	var packet channeltypes.Packet
	if err := packet.Unmarshal(c.Packet); err != nil {
		return nil, err
	}
	return packetAnswer{
		Commitment:         channeltypes.CommitPacket(packet),
		CommitmentKey:      hostv2.PacketCommitmentKey(packet.SourceClient, packet.Sequence),
		ReceiptKey:         hostv2.PacketReceiptKey(packet.DestinationClient, packet.Sequence),
		AcknowledgementKey: hostv2.PacketAcknowledgementKey(packet.DestinationClient, packet.Sequence),
		Form:               judge(packet.ValidateBasic()),
	}, nil
}

func commitAcknowledgement(c acknowledgementCase) (any, error) {
	var acknowledgement channeltypes.Acknowledgement
	if err := acknowledgement.Unmarshal(c.Acknowledgement); err != nil {
		return nil, err
	}
	return acknowledgementAnswer{
		Commitment: channeltypes.CommitAcknowledgement(acknowledgement),
		Form:       judge(acknowledgement.Validate()),
	}, nil
}
