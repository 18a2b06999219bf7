package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"
)

// echo returns each datagram to its sender.
func echo(ctx context.Context, network, address string) (net.PacketConn, error) {
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	go func() {
		buffer := make([]byte, orderSize)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buffer[:n], from)
		}
	}()
	return conn, nil
}

// talk connects sockets to a server and returns each after an answer.
func talk(ctx context.Context, count, address string) (held []net.Conn, err error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	for range n {
		conn, err := ask(ctx, address)
		if err != nil {
			return nil, err
		}
		held = append(held, conn)
	}
	return held, nil
}

// askEach connects one socket after the other, and closes each after an answer.
func askEach(ctx context.Context, count, address string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	for range n {
		conn, err := ask(ctx, address)
		if err != nil {
			return err
		}
		if err := conn.Close(); err != nil {
			return err
		}
	}
	return nil
}

// ask returns a socket that is connected to a server and has its answer. It repeats the question for 20 s.
func ask(ctx context.Context, address string) (net.Conn, error) {
	const tries, wait = 40, 500 * time.Millisecond
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	for range tries {
		if _, err = conn.Write([]byte("question")); err == nil {
			err = conn.SetReadDeadline(time.Now().Add(wait))
		}
		if err == nil {
			_, err = conn.Read(make([]byte, orderSize))
		}
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			time.Sleep(wait) // refused: nothing listens yet
		}
	}
	return nil, errors.Join(err, conn.Close())
}

// send returns a socket that has sent a datagram without a connection.
func send(ctx context.Context, address string) (net.PacketConn, error) {
	to, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	conn, err := config.ListenPacket(ctx, "udp4", "0.0.0.0:0")
	if err != nil {
		return nil, err
	}
	_, err = conn.WriteTo([]byte("question"), to)
	return conn, err
}

// resolve looks up the IPv4 address of a name. Each lookup is one question over one socket.
func resolve(ctx context.Context, count, name string) error {
	n, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	resolver := net.Resolver{PreferGo: true}
	for range n {
		if _, err := resolver.LookupNetIP(ctx, "ip4", name); err != nil {
			return err
		}
	}
	return nil
}
