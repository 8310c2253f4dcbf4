package model

import (
	"context"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// leaser serves the lease part of etcd's client.
type leaser struct{ client *Client }

func (l *leaser) LeaseGrant(ctx context.Context, r *pb.LeaseGrantRequest, _ ...grpc.CallOption) (*pb.LeaseGrantResponse, error) {
	return callEtcd(ctx, l.client, Call{Name: "grant"}, func() (*pb.LeaseGrantResponse, error) { return l.client.etcd.grantLease(l.client, r) })
}

func (l *leaser) LeaseRevoke(ctx context.Context, r *pb.LeaseRevokeRequest, _ ...grpc.CallOption) (*pb.LeaseRevokeResponse, error) {
	return callEtcd(ctx, l.client, Call{Name: "revoke"}, func() (*pb.LeaseRevokeResponse, error) { return l.client.etcd.revokeLease(l.client, r) })
}

// LeaseTimeToLive is not implemented: nothing here uses it.
func (l *leaser) LeaseTimeToLive(context.Context, *pb.LeaseTimeToLiveRequest, ...grpc.CallOption) (*pb.LeaseTimeToLiveResponse, error) {
	l.client.etcd.failUnknown("LeaseTimeToLive")
	return nil, status.Error(codes.Unimplemented, "LeaseTimeToLive")
}

// LeaseLeases is not implemented: nothing here uses it.
func (l *leaser) LeaseLeases(context.Context, *pb.LeaseLeasesRequest, ...grpc.CallOption) (*pb.LeaseLeasesResponse, error) {
	l.client.etcd.failUnknown("LeaseLeases")
	return nil, status.Error(codes.Unimplemented, "LeaseLeases")
}

// LeaseKeepAlive opens a stream of renewals.
func (l *leaser) LeaseKeepAlive(ctx context.Context, _ ...grpc.CallOption) (grpc.BidiStreamingClient[pb.LeaseKeepAliveRequest, pb.LeaseKeepAliveResponse], error) {
	if err := l.client.checkLink(ctx); err != nil {
		return nil, err
	}
	_, boots := l.client.etcd.runState()
	return &keepAliveStream{client: l.client, ctx: ctx, boots: boots, answers: make(chan *pb.LeaseKeepAliveResponse, 256), broken: make(chan struct{})}, nil
}

// keepAliveStream is a stream of renewals. One goroutine may send and one receive, as in etcd's client.
type keepAliveStream struct {
	grpc.ClientStream // nil: its other methods are not implemented
	client            *Client
	ctx               context.Context
	boots             int
	answers           chan *pb.LeaseKeepAliveResponse
	broken            chan struct{} // closed by Send
	err               error         // the cause; set before broken is closed
}

func (s *keepAliveStream) Context() context.Context { return s.ctx }

func (s *keepAliveStream) CloseSend() error { return nil }

// Send renews a lease and leaves the answer to Recv. A fault of the client's connection ends the stream.
func (s *keepAliveStream) Send(r *pb.LeaseKeepAliveRequest) error {
	select {
	case <-s.broken:
		return io.EOF
	default:
	}
	resp, err := s.renewLease(r)
	if err != nil {
		s.err = err
		close(s.broken)
		return io.EOF
	}
	s.answers <- resp
	return nil
}

func (s *keepAliveStream) renewLease(r *pb.LeaseKeepAliveRequest) (*pb.LeaseKeepAliveResponse, error) {
	resp, err := callEtcd(s.ctx, s.client, Call{Name: "keepalive"}, func() (*pb.LeaseKeepAliveResponse, error) {
		if _, boots := s.client.etcd.runState(); boots != s.boots {
			return nil, errBroken
		}
		return s.client.etcd.keepAlive(r.ID), nil
	})
	return resp, err
}

func (s *keepAliveStream) Recv() (*pb.LeaseKeepAliveResponse, error) {
	select {
	case resp := <-s.answers:
		return resp, nil
	case <-s.broken:
		return nil, s.err
	case <-s.ctx.Done():
		return nil, status.FromContextError(s.ctx.Err()).Err()
	}
}
