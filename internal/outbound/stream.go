package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"gatehouse/internal/problem"
)

// Stream sends data over a connection of its own, says that this was all, and
// waits until the receiver closes its side too: by then it has read everything,
// as far as a protocol without answers can tell.
func (s *Sender) Stream(ctx context.Context, addr string, encrypted bool, data []byte) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return problem.New(problem.Invalid, "The address can't be used.").Because(err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.rules.Timeout)
	defer cancel()
	conn, err := s.Dial(ctx, "tcp", addr)
	if err != nil {
		return Unreached(host, err)
	}
	defer func() { _ = conn.Close() }() // what counts was said before
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if encrypted {
		client := tls.Client(conn, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
		if err := client.HandshakeContext(ctx); err != nil {
			return Unreached(host, err)
		}
		conn = client
	}
	if err := say(conn, data); err != nil {
		return Unreached(host, err)
	}
	return nil
}

// errTalks is a receiver that says more than one that only listens has to.
var errTalks = errors.New("the receiver sends too much")

func say(conn net.Conn, data []byte) error {
	if _, err := conn.Write(data); err != nil {
		return err
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, io.LimitReader(conn, maxAnswer+1))
	if err == nil && n > maxAnswer {
		return errTalks
	}
	return err
}
