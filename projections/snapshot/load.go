package snapshot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"golang.org/x/sync/errgroup"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/etcd"
	"telemetry-pipeline/projections"
)

const (
	pageHosts = 256 // hosts in one read
	loaders   = 4   // parallel reads of a Load
)

// Partition is the stored state of one partition.
type Partition struct {
	Hosts   []projections.Host
	Offsets projections.Offsets
}

// LoadPartition reads live, identity and offsets of a partition; hosts come by name. Call it after claiming: from
// then on no other owner writes the partition. A value that cannot be read returns a *DamagedError, since folding on
// from half a host would lose the rest.
func (s *Store) LoadPartition(ctx context.Context, g projections.Generation, p events.Partition) (Partition, error) {
	var part Partition
	var last link // read before the models: the next Save notices a transaction that was applied meanwhile
	kv, rev, err := s.getKey(ctx, s.keys.offsetKey(g, p))
	if err != nil {
		return part, fmt.Errorf("loading partition %d: %w", p, err)
	}
	if kv != nil {
		if part.Offsets, err = unpackOffsets(kv); err != nil {
			return part, fmt.Errorf("loading partition %d: %w", p, err)
		}
		last = link{part.Offsets, kv.ModRevision}
	}
	stored, damaged, err := s.readHosts(ctx, g, p, 0)
	if err == nil && len(damaged) > 0 {
		err = damaged[0].Err
	}
	if err != nil {
		return part, fmt.Errorf("loading partition %d: %w", p, err)
	}
	part.Hosts = hostsOfStored(stored)
	s.rememberLink(partitionID{g, p}, last)
	s.lg.Debug("loaded partition", "partition", p, "hosts", len(part.Hosts), "folded", part.Offsets.Live.Number, "revision", rev)
	return part, nil
}

func hostsOfStored(stored []projections.Stored) []projections.Host {
	var hosts []projections.Host
	for _, st := range stored {
		host := projections.Host{ID: st.Host}
		if st.Live != nil {
			host.Live = *st.Live
		}
		if st.Identity != nil {
			host.Identity = *st.Identity
		}
		hosts = append(hosts, host)
	}
	return hosts
}

// Load returns all live and identity models and offsets of a generation and the position that they reflect: exactly
// that one, so a Watch after it returns all later changes and nothing else. Hosts come by partition and name. A live or
// identity value that cannot be read is logged and listed as Unreadable; offsets that cannot be read are an error, since
// without them nothing shows how far the models are folded. A generation under removal is projections.ErrRemoved.
func (s *Store) Load(ctx context.Context, g projections.Generation) (projections.Batch, error) {
	for {
		b, err := s.loadOnce(ctx, g)
		if errors.Is(err, rpctypes.ErrCompacted) && ctx.Err() == nil {
			s.lg.Info("projections were compacted while they were read; reading them again", "generation", g)
			continue
		}
		if err != nil {
			return projections.Batch{}, fmt.Errorf("loading generation %s: %w", g, err)
		}
		return b, nil
	}
}

// loadOnce reads a generation at the newest revision; it fails when etcd compacts that revision meanwhile.
func (s *Store) loadOnce(ctx context.Context, g projections.Generation) (projections.Batch, error) {
	offsets, rev, err := s.offsetsAt(ctx, g, 0)
	if err != nil {
		return projections.Batch{}, err
	}
	if len(offsets) < s.facts.Partitions {
		if err := s.checkNotRemoved(ctx, g, rev); err != nil {
			return projections.Batch{}, err
		}
	}
	parts, unreadable := make([][]projections.Stored, s.facts.Partitions), make([][]projections.Unreadable, s.facts.Partitions)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loaders)
	for p := range events.Partition(s.facts.Partitions) {
		group.Go(func() (err error) {
			parts[p], unreadable[p], err = s.readHosts(ctx, g, p, rev)
			s.logUnreadable(unreadable[p])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return projections.Batch{}, err
	}
	return projections.Batch{At: s.revisionAt(rev), Hosts: slices.Concat(parts...), Offsets: offsets, Unreadable: slices.Concat(unreadable...)}, nil
}

// checkNotRemoved returns projections.ErrRemoved if a generation was replaced by a revision. Its offsets are removed first, so where
// they are all there, so is everything else.
func (s *Store) checkNotRemoved(ctx context.Context, g projections.Generation, rev int64) error {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.kv.Txn(ctx).Then(
			clientv3.OpGet(s.keys.activeKey(), clientv3.WithRev(rev)),
			clientv3.OpGet(s.keys.generationKey(g), clientv3.WithRev(rev)),
		).Commit()
	})
	if err != nil {
		return err
	}
	if record := resp.Responses[1].GetResponseRange().Kvs; len(record) > 0 {
		if _, info, err := s.unpackRecord(record[0]); err != nil || info.State != Retired {
			return err
		}
		return projections.ErrRemoved
	}
	if active := resp.Responses[0].GetResponseRange().Kvs; len(active) > 0 && string(active[0].Value) != string(g) {
		return projections.ErrRemoved
	}
	return nil
}

func (s *Store) logUnreadable(list []projections.Unreadable) {
	for _, u := range list {
		s.lg.Error("leaving out a damaged projection", "err", u.Err)
	}
}

// readHosts reads the models of a partition, in pages, at rev or (0) at the newest revision of each page. Hosts come
// by name. Values that cannot be read are left out and listed.
func (s *Store) readHosts(ctx context.Context, g projections.Generation, p events.Partition,
	rev int64) (stored []projections.Stored, damaged []projections.Unreadable, err error) {
	hosts := make(map[events.HostID]*projections.Stored)
	for _, kind := range []string{kindIdentity, kindLive} {
		from := s.keys.partitionPrefix(g, kind, p)
		for end := prefixEnd(from); from != ""; {
			resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) {
				return s.kv.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(pageHosts), clientv3.WithRev(rev))
			})
			if err != nil {
				return nil, nil, err
			}
			for _, kv := range resp.Kvs {
				if u := s.putModel(hosts, g, kv); u != nil {
					damaged = append(damaged, *u)
				}
			}
			if from = ""; resp.More {
				from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
			}
		}
	}
	return sortHosts(hosts), damaged, nil
}

// Host returns the models of a host in the active generation; the zero Host when it has none. It is for read-only use: the
// owner of the host's partition may be ahead of it.
func (s *Store) Host(ctx context.Context, host events.HostID) (projections.Host, error) {
	h, err := s.hostNow(ctx, host)
	if err != nil {
		return projections.Host{}, fmt.Errorf("reading host %s: %w", host, err)
	}
	return h, nil
}

func (s *Store) hostNow(ctx context.Context, host events.HostID) (none projections.Host, err error) {
	g, err := s.activeNow(ctx)
	if err != nil || g == "" {
		return none, err
	}
	p := events.PartitionOf(host, s.facts.Partitions)
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.TxnResponse, error) {
		return s.kv.Txn(ctx).Then(
			clientv3.OpGet(s.keys.modelKey(g, kindIdentity, p, host)),
			clientv3.OpGet(s.keys.modelKey(g, kindLive, p, host)),
		).Commit()
	})
	if err != nil {
		return none, err
	}
	stored := make(map[events.HostID]*projections.Stored)
	for _, r := range resp.Responses {
		for _, kv := range r.GetResponseRange().Kvs {
			if u := s.putModel(stored, g, kv); u != nil {
				return none, u.Err
			}
		}
	}
	for _, h := range hostsOfStored(sortHosts(stored)) {
		return h, nil
	}
	return none, nil
}

// putModel adds the model of a live or identity key to hosts. It returns a value that cannot be read.
func (s *Store) putModel(hosts map[events.HostID]*projections.Stored, g projections.Generation, kv *mvccpb.KeyValue) *projections.Unreadable {
	kind, p, id, err := s.keys.parseModel(g, string(kv.Key))
	if err != nil {
		return &projections.Unreadable{Key: string(kv.Key), Err: &DamagedError{Key: string(kv.Key), Err: err}}
	}
	var live *projections.Live
	var identity *projections.Identity
	if kind == kindLive {
		live, err = unpackModel(s, kv, projections.ParseLive)
	} else {
		identity, err = unpackModel(s, kv, projections.ParseIdentity)
	}
	if err != nil {
		return &projections.Unreadable{Key: string(kv.Key), Kind: kind, Partition: p, Host: id, Err: err}
	}
	host := storedOf(hosts, p, id)
	if live != nil {
		host.Live = live
	} else {
		host.Identity = identity
	}
	return nil
}

func storedOf(hosts map[events.HostID]*projections.Stored, p events.Partition, id events.HostID) *projections.Stored {
	if hosts[id] == nil {
		hosts[id] = &projections.Stored{Host: id, Partition: p}
	}
	return hosts[id]
}

// unpackModel returns the model of a stored value.
func unpackModel[M any](s *Store, kv *mvccpb.KeyValue, parse func([]byte) (M, error)) (*M, error) {
	_, bytes, err := s.codec.unpackValue(kv.Value)
	if err == nil {
		var model M
		if model, err = parse(bytes); err == nil {
			return &model, nil
		}
	}
	s.metrics.damaged.Inc()
	return nil, &DamagedError{Key: string(kv.Key), Err: err}
}

// getKey returns a key, nil when it does not exist, and the revision of the read.
func (s *Store) getKey(ctx context.Context, key string) (*mvccpb.KeyValue, int64, error) {
	resp, err := etcd.Read(ctx, func(ctx context.Context) (*clientv3.GetResponse, error) { return s.kv.Get(ctx, key) })
	if err != nil {
		return nil, 0, err
	}
	if len(resp.Kvs) == 0 {
		return nil, resp.Header.Revision, nil
	}
	return resp.Kvs[0], resp.Header.Revision, nil
}

// sortHosts returns hosts sorted by partition and name.
func sortHosts(hosts map[events.HostID]*projections.Stored) []projections.Stored {
	list := make([]projections.Stored, 0, len(hosts))
	for _, h := range hosts {
		list = append(list, *h)
	}
	slices.SortFunc(list, func(a, b projections.Stored) int {
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Host, b.Host))
	})
	return list
}
