package measure

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"time"
)

// Sender posts bodies over one connection that it keeps. It takes a tenth of the processor time of net/http, so that a
// load of thousands of requests a second leaves the processors to the server. Not safe for concurrent use.
type Sender struct {
	host, path, kind string
	conn             net.Conn
	in               *bufio.Reader
	out              []byte
}

const sendWithin = 2 * time.Minute

// NewSender makes a sender for an address such as http://127.0.0.1:8081/path?query; it connects with the first body.
func NewSender(address, kind string) (*Sender, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return &Sender{host: u.Host, path: u.RequestURI(), kind: kind}, nil
}

// Send posts a body and returns the status and the body of the answer. After an error the next body takes a new
// connection.
func (s *Sender) Send(ctx context.Context, body []byte) (status int, answer []byte, err error) {
	if s.conn == nil {
		if s.conn, err = new(net.Dialer).DialContext(ctx, "tcp", s.host); err != nil {
			return 0, nil, err
		}
		s.in = bufio.NewReader(s.conn)
	}
	keep := false
	defer func() {
		if err != nil || !keep {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.conn.SetDeadline(time.Now().Add(sendWithin)); err != nil {
		return 0, nil, err
	}
	s.out = fmt.Appendf(s.out[:0], "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", s.path, s.host, s.kind, len(body))
	s.out = append(s.out, body...)
	if _, err := s.conn.Write(s.out); err != nil {
		return 0, nil, err
	}
	status, keep, answer, err = readAnswer(s.in)
	return status, answer, err
}

// Close closes the connection.
func (s *Sender) Close() error {
	if s.conn == nil {
		return nil
	}
	err := s.conn.Close()
	s.conn = nil
	return err
}

// readAnswer reads an answer whose length is in its header, which the servers here send to requests such as ours.
func readAnswer(in *bufio.Reader) (status int, keep bool, body []byte, err error) {
	first, err := in.ReadSlice('\n')
	if err != nil {
		return 0, false, nil, err
	}
	if len(first) < len("HTTP/1.1 200") {
		return 0, false, nil, fmt.Errorf("an answer begins %q", first)
	}
	if status, err = strconv.Atoi(string(first[9:12])); err != nil {
		return 0, false, nil, fmt.Errorf("an answer begins %q", first)
	}
	length, keep := 0, true
	for {
		text, err := in.ReadSlice('\n')
		if err != nil {
			return 0, false, nil, err
		}
		name, value, found := bytes.Cut(bytes.TrimSpace(text), []byte(":"))
		if !found {
			break
		}
		switch value = bytes.TrimSpace(value); {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, nil, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			keep = !bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			return 0, false, nil, errors.New("an answer comes in chunks")
		}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(in, body)
	return status, keep, body, err
}
