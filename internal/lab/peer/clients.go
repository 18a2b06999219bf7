package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"
)

// orderSize and goodsSize are the bytes that order sends and receives over each connection.
const orderSize, goodsSize = 100, 300

// order opens connections one after the other, and has each answered.
func order(ctx context.Context, count, address string) error {
	return eachConn(ctx, count, address, trade)
}

// trade sends an order and reads the goods.
func trade(conn net.Conn) error {
	_, writeErr := conn.Write(make([]byte, orderSize))
	_, readErr := io.ReadFull(conn, make([]byte, goodsSize))
	return errors.Join(writeErr, readErr)
}

// abort is order with clients that reset each connection.
func abort(ctx context.Context, count, address string) error {
	return eachConn(ctx, count, address, func(conn net.Conn) error {
		tcp, ok := conn.(*net.TCPConn)
		if !ok {
			return errors.New("not TCP")
		}
		return errors.Join(trade(conn), tcp.SetLinger(0))
	})
}

// knock dials an address that must refuse.
func knock(ctx context.Context, count, address string) error {
	n, err := strconv.Atoi(count)
	for range n {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp4", address)
		if err == nil {
			return errors.Join(errors.New(address+" accepts"), conn.Close())
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return err
		}
	}
	return err
}

// visit opens connections one after the other and closes each after 5 ms.
func visit(ctx context.Context, count, address string) error {
	return eachConn(ctx, count, address, func(net.Conn) error {
		time.Sleep(5 * time.Millisecond)
		return nil
	})
}

// eachConn opens connections one after the other, uses each, and closes it.
func eachConn(ctx context.Context, count, address string, use func(net.Conn) error) error {
	n, err := strconv.Atoi(count)
	for range n {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		if err := errors.Join(use(conn), conn.Close()); err != nil {
			return err
		}
	}
	return err
}

// churn opens and closes connections in count goroutines, each at most a thousand in a second. SO_LINGER 0 keeps them out of
// TIME_WAIT.
func churn(ctx context.Context, count, address string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	for range n {
		go func() {
			var dialer net.Dialer
			for {
				conn, err := dialer.DialContext(ctx, "tcp4", address)
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				if tcp, ok := conn.(*net.TCPConn); ok {
					_ = tcp.SetLinger(0)
				}
				_ = conn.Close()
				time.Sleep(time.Millisecond) // the daemon under test needs the processors too
			}
		}()
	}
	return nil
}
