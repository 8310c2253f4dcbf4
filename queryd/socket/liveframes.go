package socket

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"telemetry-pipeline/events"
	"telemetry-pipeline/projections"
	"telemetry-pipeline/queryd/live"
)

// sendFrame writes a stream's message. The part behind the id is encoded once for all clients of the message.
func sendFrame(c *conn, st *stream, m *live.Message) {
	body := m.Encoded(liveProtocol, encodeBody)
	frame := append(c.frame[:0], `{"t":"`...)
	frame = append(frame, m.Kind...)
	frame = append(frame, `","id":`...)
	frame = appendText(frame, st.id)
	if st.cluster != "" {
		frame = appendField(frame, "cluster", st.cluster)
	}
	frame = append(frame, body...)
	c.sendText(frame)
	if c.frame = nil; cap(frame) <= maxKeptFrame {
		c.frame = frame
	}
}

// maxKeptFrame bounds the memory that a connection keeps for its next frame. Most updates are of a few GPUs.
const maxKeptFrame = 1 << 10

// encodeBody returns the part of a message that is the same for every client.
func encodeBody(m *live.Message) []byte {
	size := 256
	for _, item := range m.Items {
		size += 160 + 48*len(item.Readings)
	}
	b := make([]byte, 0, size)
	switch m.Kind {
	case live.Snapshot:
		b = append(b, `,"part":`...)
		b = strconv.AppendInt(b, int64(m.Part), 10)
		b = append(b, `,"more":`...)
		b = strconv.AppendBool(b, m.More)
	case live.Lag:
		b = append(b, `,"queued":`...)
		b = strconv.AppendInt(b, int64(m.Queued), 10)
		return append(b, '}')
	case live.Reset:
		b = appendField(b, "reason", m.Reason)
		return append(b, '}')
	}
	b = appendField(b, "rev", string(m.Token))
	if m.Kind == live.Update {
		b = append(b, `,"del":[`...)
		for i, id := range m.Removed {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, string(id))
		}
		b = append(b, ']')
	}
	if m.Kind == live.Update || m.Kind == live.Snapshot {
		b = append(b, `,"items":[`...)
		for i := range m.Items {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendItem(b, &m.Items[i])
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendItem appends a GPU's readings.
func appendItem(b []byte, item *live.Item) []byte {
	b = append(b, `{"gpu":`...)
	b = appendText(b, string(item.GPU))
	b = appendField(b, "host", string(item.Host))
	if item.Part != "" {
		b = appendField(b, "part", item.Part)
	}
	b = append(b, `,"ts":"`...)
	b = item.At.Time().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","m":{`...)
	absent := 0
	comma := false
	for i := range item.Readings {
		r := &item.Readings[i]
		if r.Value.Absent != events.Present {
			absent++
			continue
		}
		b = appendName(b, r.Metric, comma)
		b = r.Value.Number.Append(b)
		comma = true
	}
	b = append(b, '}')
	if absent > 0 {
		b = appendAbsent(b, item.Readings)
	}
	return append(b, '}')
}

// appendAbsent appends the reasons of the readings without a value.
func appendAbsent(b []byte, readings []projections.Latest) []byte {
	b = append(b, `,"absent":{`...)
	comma := false
	for i := range readings {
		if r := &readings[i]; r.Value.Absent != events.Present {
			b = appendName(b, r.Metric, comma)
			b = appendText(b, r.Value.Absent.String())
			comma = true
		}
	}
	return append(b, '}')
}

func appendName(b []byte, name string, comma bool) []byte {
	if comma {
		b = append(b, ',')
	}
	return append(appendText(b, name), ':')
}

// appendField appends ,"name":"text".
func appendField(b []byte, name, text string) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":`...)
	return appendText(b, text)
}

// appendText appends a JSON string.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(text)
			if err != nil { // cannot be: text always marshals
				return append(b, `""`...)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// limits are the client's limits in the hello frame.
type limits struct {
	Subscriptions int `json:"subscriptions"`
	MessageBytes  int `json:"messageBytes"`
	PerSecond     int `json:"messagesPerSecond"`
}

func helloFrame(s *live.State, heartbeat time.Duration, cfg Config) []byte {
	return frameOf(struct {
		T           string     `json:"t"`
		Server      string     `json:"server"`
		Epoch       string     `json:"epoch"`
		Rev         live.Token `json:"rev"`
		Folded      string     `json:"folded"`
		HeartbeatMs int64      `json:"heartbeatMs"`
		Limits      limits     `json:"limits"`
	}{"hello", "queryd", fmt.Sprintf("%x", uint64(s.At().Epoch)), s.Token(), s.Folded().String(), heartbeat.Milliseconds(),
		limits{cfg.Subscriptions, maxFrame, opsPerSec}})
}

// clusterHello is a cluster in the hello of several.
type clusterHello struct {
	Cluster string     `json:"cluster"`
	Epoch   string     `json:"epoch"`
	Rev     live.Token `json:"rev"`
	Folded  string     `json:"folded"`
}

// clustersHelloFrame returns the hello of several clusters.
func clustersHelloFrame(feeds []ClusterFeed, away []string, cfg Config) []byte {
	all, heartbeat := []clusterHello{}, time.Duration(0)
	for _, f := range feeds {
		s := f.Feed.State()
		all = append(all, clusterHello{f.Cluster, fmt.Sprintf("%x", uint64(s.At().Epoch)), s.Token(), s.Folded().String()})
		heartbeat = f.Feed.Heartbeat()
	}
	return frameOf(struct {
		T           string         `json:"t"`
		Server      string         `json:"server"`
		Clusters    []clusterHello `json:"clusters"`
		Away        []string       `json:"away,omitempty"`
		HeartbeatMs int64          `json:"heartbeatMs,omitempty"`
		Limits      limits         `json:"limits"`
	}{"hello", "queryd", all, away, heartbeat.Milliseconds(), limits{cfg.Subscriptions, maxFrame, opsPerSec}})
}

// ackFrame returns the ack of a stream, derived from the stream's first message.
func ackFrame(st *stream, first *live.Message) []byte {
	resumed := st.from != "" && first.Kind != live.Reset
	rev := first.Token
	if resumed {
		rev = st.from
	}
	return frameOf(struct {
		T       string     `json:"t"`
		ID      string     `json:"id"`
		Cluster string     `json:"cluster,omitempty"`
		Rev     live.Token `json:"rev"`
		Resumed bool       `json:"resumed"`
		Reason  string     `json:"reason,omitempty"`
	}{"ack", st.id, st.cluster, rev, resumed, first.Reason})
}

func heartbeatFrame(m *live.Message, cluster string) []byte {
	return frameOf(struct {
		T       string     `json:"t"`
		Cluster string     `json:"cluster,omitempty"`
		Rev     live.Token `json:"rev"`
		Folded  string     `json:"folded"`
		TS      time.Time  `json:"ts"`
		AsOf    time.Time  `json:"asOf"`
	}{"hb", cluster, m.Token, m.Folded.String(), m.Time.UTC(), m.AsOf.UTC()})
}

func errFrame(id, code, msg string) []byte {
	return frameOf(struct {
		T    string `json:"t"`
		ID   string `json:"id"`
		Code string `json:"code"`
		Msg  string `json:"msg"`
	}{"err", id, code, msg})
}

func byeFrame(reason string, retry time.Duration) []byte {
	return frameOf(struct {
		T       string `json:"t"`
		Reason  string `json:"reason"`
		RetryMs int64  `json:"retryMs"`
	}{"bye", reason, retry.Milliseconds()})
}

// frameOf returns the JSON of one of the small messages.
func frameOf(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // cannot be: only text, numbers and times of this century
		return []byte(`{"t":"err","code":"internal","msg":"encoding failed"}`)
	}
	return text
}
