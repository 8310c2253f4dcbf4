package snapshot

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"telemetry-pipeline/events"
	"telemetry-pipeline/events/eventlog"
	"telemetry-pipeline/projections"
)

func FuzzKeys(f *testing.F) {
	f.Add("default-cluster", "g1", "node-1", int64(480000), 3)
	f.Add("c", "g/_%", "a/b_c%2F\x00\xff", int64(-1), 63)
	f.Fuzz(func(t *testing.T, cluster, g, host string, hour int64, p int) {
		k := keys{eventlog.Config{ClusterID: cluster}}
		p = max(p, 0) % 4096
		gen, part, name := projections.Generation(g), events.Partition(p), events.HostID(host)
		for _, kind := range []string{kindLive, kindIdentity} {
			key := k.modelKey(gen, kind, part, name)
			gotKind, gotPart, gotName, err := k.parseModel(gen, key)
			if err != nil || gotKind != kind || gotPart != part || gotName != name {
				t.Errorf("key %q: got %s, %d, %q (%v), want %s, %d, %q", key, gotKind, gotPart, gotName, err, kind, part, name)
			}
			if from, to := k.modelsRange(gen); key < from || key >= to {
				t.Errorf("key %q is outside the models' range [%q, %q)", key, from, to)
			}
		}
		if got, err := k.parseOffset(gen, k.offsetKey(gen, part)); err != nil || got != part {
			t.Errorf("got offset key of partition %d (%v), want %d", got, err, part)
		}
		if got, err := k.parseGeneration(k.generationKey(gen)); err != nil || got != gen {
			t.Errorf("got generation %q (%v), want %q", got, err, gen)
		}
		w := projections.WindowOf(events.Timestamp(hour))
		if from, to := k.modelsRange(gen); k.windowPrefix(gen, part, w, name) >= from && k.windowPrefix(gen, part, w, name) < to {
			t.Error("series are in the models' range")
		}
		if len(windowName(w)) != len(windowLayout) || windowName(w) >= windowName(w+1) {
			t.Errorf("windows %s and %s are not in order", windowName(w), windowName(w+1))
		}
	})
}

func TestWindowsAreReadable(t *testing.T) {
	at := events.TimestampOf(time.Date(2025, 7, 18, 20, 42, 34, 0, time.UTC))
	if got, want := windowName(projections.WindowOf(at)), "20250718T20"; got != want {
		t.Errorf("got window %s, want %s", got, want)
	}
}

func TestKeysThatAreNone(t *testing.T) {
	k := keys{eventlog.Config{}}
	prefix := "/telemetry/projections/default-cluster/g1/"
	for _, key := range []string{
		prefix + "live/003", prefix + "live/3/h", prefix + "live/-03/h", prefix + "live/003/h/x",
		prefix + "other/003/h", prefix + "live/003/%zz", "",
	} {
		if _, _, _, err := k.parseModel("g1", key); err == nil {
			t.Errorf("key %q: got no error", key)
		}
	}
}

func TestPack(t *testing.T) {
	c := newCodec()
	text := []byte(strings.Repeat("telemetry ", 1000))
	for name, test := range map[string]struct {
		model    []byte
		compress bool
		tag      byte
	}{
		"empty":          {nil, true, tagPlain},
		"short":          {text[:100], true, tagPlain},
		"long":           {text, true, tagZstd},
		"not compressed": {text, false, tagPlain},
		"no gain":        {randomBytes(2000), true, tagPlain},
	} {
		env := envelope{revision: 1 << 40, upload: "upload-7"}
		value := c.packValue(env, test.model, test.compress)
		got, model, err := c.unpackValue(value)
		if err != nil || got != env || !bytes.Equal(model, test.model) {
			t.Errorf("%s: got %v and %d bytes (%v), want %v and %d", name, got, len(model), err, env, len(test.model))
		}
		if value[0] != test.tag {
			t.Errorf("%s: got tag %d, want %d", name, value[0], test.tag)
		}
		for n := range value[:min(len(value), 12)] {
			if got, _, err := c.unpackValue(value[:n]); err == nil && got == env && n < 10 {
				t.Errorf("%s: the first %d bytes yield the whole envelope", name, n)
			}
		}
	}
	if _, _, err := c.unpackValue([]byte{9, 0, 0}); err == nil || !strings.Contains(err.Error(), "unknown encoding 9") {
		t.Errorf("got %v, want an error that names the unknown encoding", err)
	}
}

func FuzzUnpack(f *testing.F) {
	c := newCodec()
	f.Add(c.packValue(envelope{revision: 5, upload: "u"}, []byte("model"), true))
	f.Add(c.packValue(envelope{}, bytes.Repeat([]byte("model"), 500), true))
	f.Fuzz(func(t *testing.T, value []byte) {
		env, model, err := c.unpackValue(value)
		if err != nil {
			return
		}
		again, same, err := c.unpackValue(c.packValue(env, model, true))
		if len(env.upload) <= maxUpload && (err != nil || again != env || !bytes.Equal(same, model)) {
			t.Errorf("got %v and %d bytes (%v) the second time, want %v and %d", again, len(same), err, env, len(model))
		}
	})
}

// randomBytes returns bytes that do not compress.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

func TestPiecesOfALargeSeries(t *testing.T) {
	var series projections.HostWindow
	for _, metric := range []string{"A", "B", "C"} {
		col := projections.Column{Entity: events.Entity{GPU: "g"}, Metric: metric}
		for i := range 400 {
			raw := string(randomBytes(2000 + i))
			col.Add(events.Timestamp(i/2), events.Value{Absent: events.ReadError, Raw: raw}) // two at each time
		}
		col.Canonical()
		series.Columns = append(series.Columns, col)
	}
	before := projections.AppendHostWindow(nil, &series)
	var parts []projections.HostWindow
	for _, p := range splitSeries(new(projections.Encoder), series) {
		if len(p.model) > maxPiece {
			t.Errorf("got a piece of %d bytes, want at most %d", len(p.model), maxPiece)
		}
		if !bytes.Equal(p.model, projections.AppendHostWindow(nil, &p.series)) {
			t.Error("a piece's bytes are not its series'")
		}
		parts = append(parts, p.series)
	}
	if len(parts) < 15 {
		t.Errorf("got %d pieces, want many", len(parts))
	}
	slices.Reverse(parts)
	all := projections.Merge(parts...)
	if !bytes.Equal(projections.AppendHostWindow(nil, &all), before) {
		t.Error("the pieces together are not the series")
	}
	if !bytes.Equal(projections.AppendHostWindow(nil, &series), before) {
		t.Error("cutting changed the series")
	}
	if got := splitSeries(new(projections.Encoder), projections.HostWindow{}); got != nil {
		t.Errorf("got %d pieces of nothing", len(got))
	}
}
