package model

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// kv serves the key-value part of etcd's client.
type kv struct{ client *Client }

func (k *kv) Range(ctx context.Context, r *pb.RangeRequest, _ ...grpc.CallOption) (*pb.RangeResponse, error) {
	return callEtcd(ctx, k.client, Call{Name: "range", Key: string(r.Key)}, func() (*pb.RangeResponse, error) {
		e := k.client.etcd
		e.mu.Lock()
		defer e.mu.Unlock()
		if err := e.store.checkRange(r); err != nil {
			return nil, err
		}
		resp := e.store.readRange(r, e.store.rev)
		resp.Header = e.responseHeader()
		return resp, nil
	})
}

// RangeStream is not implemented: nothing here uses it.
func (k *kv) RangeStream(context.Context, *pb.RangeRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[pb.RangeStreamResponse], error) {
	k.client.etcd.failUnknown("RangeStream")
	return nil, status.Error(codes.Unimplemented, "RangeStream")
}

func (k *kv) Put(ctx context.Context, r *pb.PutRequest, _ ...grpc.CallOption) (*pb.PutResponse, error) {
	return callEtcd(ctx, k.client, Call{Name: "put", Write: true, Key: string(r.Key)}, func() (*pb.PutResponse, error) {
		resp, err := k.runSingle(&pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}})
		if err != nil {
			return nil, err
		}
		put := resp.Responses[0].GetResponsePut()
		put.Header = resp.Header
		return put, nil
	})
}

func (k *kv) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest, _ ...grpc.CallOption) (*pb.DeleteRangeResponse, error) {
	return callEtcd(ctx, k.client, Call{Name: "delete", Write: true, Key: string(r.Key)}, func() (*pb.DeleteRangeResponse, error) {
		resp, err := k.runSingle(&pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}})
		if err != nil {
			return nil, err
		}
		deleted := resp.Responses[0].GetResponseDeleteRange()
		deleted.Header = resp.Header
		return deleted, nil
	})
}

// runSingle runs an operation as a transaction of its own.
func (k *kv) runSingle(op *pb.RequestOp) (*pb.TxnResponse, error) {
	return k.client.etcd.runTxn(k.client.name, &pb.TxnRequest{Success: []*pb.RequestOp{op}})
}

func (k *kv) Txn(ctx context.Context, r *pb.TxnRequest, _ ...grpc.CallOption) (*pb.TxnResponse, error) {
	return callEtcd(ctx, k.client, Call{Name: "txn", Write: hasWrite(r), Key: firstKey(r)}, func() (*pb.TxnResponse, error) {
		return k.client.etcd.runTxn(k.client.name, r)
	})
}

// firstKey returns the key of the first operation of a transaction.
func firstKey(r *pb.TxnRequest) string {
	for _, op := range r.Success {
		switch o := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			return string(o.RequestRange.Key)
		case *pb.RequestOp_RequestPut:
			return string(o.RequestPut.Key)
		case *pb.RequestOp_RequestDeleteRange:
			return string(o.RequestDeleteRange.Key)
		case *pb.RequestOp_RequestTxn:
			return firstKey(o.RequestTxn)
		}
	}
	return ""
}

func (k *kv) Compact(ctx context.Context, r *pb.CompactionRequest, _ ...grpc.CallOption) (*pb.CompactionResponse, error) {
	return callEtcd(ctx, k.client, Call{Name: "compact"}, func() (*pb.CompactionResponse, error) {
		e := k.client.etcd
		e.mu.Lock()
		defer e.mu.Unlock()
		switch {
		case r.Revision > e.store.rev:
			return nil, rpctypes.ErrGRPCFutureRev
		case r.Revision <= e.store.compacted:
			return nil, rpctypes.ErrGRPCCompacted
		}
		e.store.compact(r.Revision)
		return &pb.CompactionResponse{Header: e.responseHeader()}, nil
	})
}

// maintenance reports the size of the store. Its other methods are nil, as they are not implemented.
type maintenance struct {
	pb.MaintenanceClient
	client *Client
}

// Status counts 256 bytes for each version of a key beside its bytes, and nothing else; there is no quota.
func (m *maintenance) Status(ctx context.Context, _ *pb.StatusRequest, _ ...grpc.CallOption) (*pb.StatusResponse, error) {
	return callEtcd(ctx, m.client, Call{Name: "status"}, func() (*pb.StatusResponse, error) {
		e := m.client.etcd
		e.mu.Lock()
		defer e.mu.Unlock()
		size := int64(0)
		for key, all := range e.store.versions {
			for i := range all {
				size += int64(256 + len(key) + len(all[i].value))
			}
		}
		resp := &pb.StatusResponse{Header: e.responseHeader(), Version: "3.7.3", Leader: 1, DbSize: size, DbSizeInUse: size}
		if e.noSpace {
			resp.Errors = append(resp.Errors, "memberID:1 alarm:NOSPACE ")
		}
		return resp, nil
	})
}
