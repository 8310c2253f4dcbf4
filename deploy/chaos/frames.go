package main

import "encoding/binary"

// frames takes the bytes of one direction of an HTTP/2 connection and returns the first gRPC message of each stream, which for a
// call that is not streamed is all of it. Other frames are skipped: no header is needed to know the messages that count. A
// message that a Write completes is delivered before it returns.
type frames struct {
	skip   int // bytes before the first frame
	give   func(stream uint32, message []byte)
	rest   []byte            // of a frame that is not whole yet
	bodies map[uint32][]byte // of messages that are not whole yet
	given  map[uint32]bool
}

const frameHead = 9

// Write never fails.
func (f *frames) Write(p []byte) (int, error) {
	f.rest = append(f.rest, p...)
	if f.skip > 0 {
		n := min(f.skip, len(f.rest))
		f.skip, f.rest = f.skip-n, f.rest[n:]
	}
	for len(f.rest) >= frameHead {
		size := frameHead + int(f.rest[0])<<16 + int(f.rest[1])<<8 + int(f.rest[2])
		if len(f.rest) < size {
			break
		}
		f.nextFrame(f.rest[:size])
		f.rest = f.rest[size:]
	}
	if len(f.rest) == 0 {
		f.rest = nil // frees the bytes that were read
	}
	return len(p), nil
}

// nextFrame takes one whole frame.
func (f *frames) nextFrame(b []byte) {
	const data, headers, ended, padded = 0, 1, 1, 8
	kind, flags, stream, payload := b[3], b[4], binary.BigEndian.Uint32(b[5:])&0x7fffffff, b[frameHead:]
	if kind == data && !f.given[stream] {
		if flags&padded != 0 && len(payload) > int(payload[0]) {
			payload = payload[1 : len(payload)-int(payload[0])]
		}
		f.addBytes(stream, payload)
	}
	if flags&ended != 0 && (kind == data || kind == headers) {
		delete(f.bodies, stream)
		delete(f.given, stream)
	}
}

func (f *frames) addBytes(stream uint32, payload []byte) {
	if f.bodies == nil {
		f.bodies, f.given = map[uint32][]byte{}, map[uint32]bool{}
	}
	body := append(f.bodies[stream], payload...)
	f.bodies[stream] = body
	if size, whole := messageSize(body); whole {
		f.give(stream, body[5:5+size])
		f.given[stream] = true
		delete(f.bodies, stream)
	}
}

// messageSize returns the size of the gRPC message at the start of body, and whether all of it is there.
func messageSize(body []byte) (int, bool) {
	if len(body) < 5 || body[0] != 0 {
		return 0, false
	}
	size := int(binary.BigEndian.Uint32(body[1:5]))
	return size, len(body) >= 5+size
}
