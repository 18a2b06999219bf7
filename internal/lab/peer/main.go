// Command peer runs in the containers of the tests and the demo. It follows the instructions of its arguments, holds the
// sockets open, and prints "ready" when all instructions are done.
//
//	peer listen:tcp4:0.0.0.0:80    listen and accept
//	peer queue:tcp:[::]:80         listen and never accept
//	peer reuse:tcp4:0.0.0.0:80     two listeners with SO_REUSEPORT
//	peer dial:3:web:80             three connections, retried until they succeed
//	peer as:65534:dial:1:web:80    the same in a process of another user
//	peer serve:tcp4:0.0.0.0:80     listen, accept, and close each connection after its client has
//	peer answer:tcp4:0.0.0.0:80    listen, accept, and close each connection first
//	peer fetch:2:web:80            two connections, closed when the server has closed them
//	peer reset:tcp4:0.0.0.0:80     listen, accept, and close each connection with unread data, so that the kernel resets it
//	peer spill:2:web:80            two connections with data, closed when the server has reset them
//	peer meet:0.0.0.0:4001:web:4001   listen, and dial from the same port
//	peer hang-up:2:web:80          two connections, closed at once, so that they stay in TIME_WAIT
//	peer visit:1000:web:80         1000 connections of 5 ms, one after the other
//	peer reply:tcp4:0.0.0.0:80     listen, accept, read an order, send the goods, and close each connection after its client has
//	peer order:1000:web:80         1000 connections, one after the other: send an order, read the goods, close
//	peer abort:5:web:80            like order, but resets each connection
//	peer knock:5:web:81            five dials that are refused
//	peer churn:4:web:80            open and close connections without end, four at a time
//	peer echo:udp4:0.0.0.0:53      return each datagram to its sender
//	peer talk:2:dns:53             two UDP sockets that are connected to a server, held after its answer
//	peer ask:1000:dns:53           1000 connected UDP sockets, one after the other, closed after the answer
//	peer send:dns:53               one datagram from a UDP socket without a connection
//	peer resolve:10:web            ten lookups of an IPv4 address
//	peer give:/run/it:tcp4:0.0.0.0:80   listen, and pass the listening socket to whoever connects to a path
//	peer take:/run/it              receive that socket and hold it too
//	peer leave                     exit when the instructions before it are done
//	peer headless                  end the leading thread when all is done; the other threads continue
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The main goroutine keeps the leading thread, so that "headless" can end that thread.
func init() { runtime.LockOSThread() }

func main() {
	var held []any // the garbage collector closes unreferenced sockets
	headless := false
	for _, instruction := range os.Args[1:] {
		switch instruction {
		case "headless":
			headless = true
			continue
		case "leave":
			return
		}
		got, err := execute(context.Background(), instruction)
		if err != nil {
			fmt.Fprintf(os.Stderr, "peer: %s: %v\n", instruction, err)
			os.Exit(1)
		}
		held = append(held, got)
	}
	fmt.Println("ready")
	if headless {
		_, _, _ = syscall.Syscall(syscall.SYS_EXIT, 0, 0, 0) // ends this thread, not the process
	}
	for {
		time.Sleep(time.Hour)
		runtime.KeepAlive(held)
	}
}

func execute(ctx context.Context, instruction string) (any, error) {
	verb, rest, _ := strings.Cut(instruction, ":")
	first, address, _ := strings.Cut(rest, ":")
	switch verb {
	case "listen":
		listener, err := listen(ctx, first, address, false)
		if err == nil {
			go accept(listener)
		}
		return listener, err
	case "serve", "answer", "reset", "reply":
		listener, err := listen(ctx, first, address, false)
		if err == nil {
			go serve(listener, verb)
		}
		return listener, err
	case "spill":
		held, err := dial(ctx, first, address)
		for _, conn := range held {
			_, writeErr := conn.Write([]byte("two"))
			drain(conn)
			err = errors.Join(err, writeErr, conn.Close())
		}
		return nil, err
	case "fetch":
		held, err := dial(ctx, first, address)
		for _, conn := range held {
			_, readErr := io.Copy(io.Discard, conn)
			err = errors.Join(err, readErr, conn.Close())
		}
		return nil, err
	case "meet":
		return meet(ctx, rest)
	case "hang-up":
		held, err := dial(ctx, first, address)
		for _, conn := range held {
			err = errors.Join(err, conn.Close())
		}
		return nil, err
	case "visit":
		return nil, visit(ctx, first, address)
	case "order":
		return nil, order(ctx, first, address)
	case "abort":
		return nil, abort(ctx, first, address)
	case "knock":
		return nil, knock(ctx, first, address)
	case "churn":
		return nil, churn(ctx, first, address)
	case "echo":
		return echo(ctx, first, address)
	case "talk":
		return talk(ctx, first, address)
	case "ask":
		return nil, askEach(ctx, first, address)
	case "send":
		return send(ctx, rest)
	case "resolve":
		return nil, resolve(ctx, first, address)
	case "give":
		network, at, _ := strings.Cut(address, ":")
		return give(ctx, first, network, at)
	case "take":
		return take(ctx, rest)
	case "queue":
		return listen(ctx, first, address, false)
	case "reuse":
		one, err := listen(ctx, first, address, true)
		if err != nil {
			return nil, err
		}
		two, err := listen(ctx, first, address, true)
		return []any{one, two}, err
	case "dial":
		return dial(ctx, first, address)
	case "as":
		return fork(ctx, "become:"+rest)
	case "become":
		return become(ctx, first, address)
	}
	return nil, errors.New("unknown instruction")
}

func listen(ctx context.Context, network, address string, reuse bool) (net.Listener, error) {
	var config net.ListenConfig
	if reuse {
		config.Control = reusePort
	}
	return config.Listen(ctx, network, address)
}

// reusePort lets several sockets have one local endpoint.
func reusePort(_, _ string, c syscall.RawConn) error {
	const option = 15 // SO_REUSEPORT of asm-generic/socket.h; package syscall lacks it
	var err error
	return errors.Join(c.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, 1)
	}), err)
}

func accept(listener net.Listener) {
	var held []net.Conn
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		held = append(held, conn)
		runtime.KeepAlive(held)
	}
}

// serve closes each connection after its client has, or first as a server of HTTP/1.0 does, or with unread data.
func serve(listener net.Listener, verb string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			switch verb {
			case "serve":
				drain(conn)
			case "reset":
				_, _ = conn.Read(make([]byte, 1))
			case "reply":
				_, _ = io.ReadFull(conn, make([]byte, orderSize))
				_, _ = conn.Write(make([]byte, goodsSize))
				drain(conn)
			}
			_ = conn.Close()
		}()
	}
}

// drain reads a connection until the other side closes or resets it.
func drain(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// meet listens at the address before the second colon of text, and dials the rest from there.
func meet(ctx context.Context, text string) (any, error) {
	host, rest, _ := strings.Cut(text, ":")
	port, remote, _ := strings.Cut(rest, ":")
	local := host + ":" + port
	listener, err := listen(ctx, "tcp4", local, true)
	if err != nil {
		return nil, err
	}
	go accept(listener)
	address, err := net.ResolveTCPAddr("tcp4", local)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{LocalAddr: address, Control: reusePort}
	conn, err := dialer.DialContext(ctx, "tcp4", remote)
	return []any{listener, conn}, err
}

// give listens, and passes the listening socket to the first client of the Unix socket at path.
func give(ctx context.Context, path, network, address string) (any, error) {
	listener, err := listen(ctx, network, address, false)
	if err != nil {
		return nil, err
	}
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, errors.New("not TCP")
	}
	file, err := tcp.File()
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	door, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	go func() {
		conn, err := door.Accept()
		if unix, ok := conn.(*net.UnixConn); ok && err == nil {
			_, _, _ = unix.WriteMsgUnix([]byte("."), syscall.UnixRights(int(file.Fd())), nil)
		}
	}()
	return []any{listener, file, door}, nil
}

// take receives a descriptor from the Unix socket at path and holds it.
func take(ctx context.Context, path string) (any, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a Unix socket")
	}
	rights := make([]byte, syscall.CmsgSpace(4)) // one descriptor
	_, n, _, _, err := unix.ReadMsgUnix(make([]byte, 1), rights)
	if err == nil && n == 0 {
		err = errors.New("no descriptor received")
	}
	return conn, err
}

// dial opens connections, and retries for 20 s. Each socket is bound first, unless they are many: bound sockets share no ports. The
// kernel gives odd ports to such sockets, and even ports to others. So no port is by chance that of docker-proxy, which would look like a
// masqueraded connection.
func dial(ctx context.Context, count, address string) ([]net.Conn, error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	const timeout, maxBound = 20 * time.Second, 100
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var dialer net.Dialer
	if n <= maxBound {
		dialer.LocalAddr = &net.TCPAddr{}
	}
	var held []net.Conn
	for len(held) < n {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			held = append(held, conn)
			continue
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return held, nil
}

// become changes the user, as servers do in their workers, and executes an instruction. SysProcAttr.Credential cannot replace
// it: the child would change its user while it shares the parent's memory, which makes the parent undumpable.
func become(ctx context.Context, user, instruction string) (any, error) {
	uid, err := strconv.Atoi(user)
	if err == nil {
		err = errors.Join(syscall.Setgid(uid), syscall.Setuid(uid))
	}
	if err != nil {
		return nil, err
	}
	return execute(ctx, instruction)
}

// fork executes an instruction in a new process and waits until it is done.
func fork(ctx context.Context, instruction string) (any, error) {
	worker := exec.CommandContext(ctx, "/proc/self/exe", instruction)
	worker.Stderr = os.Stderr
	stdout, err := worker.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := worker.Start(); err != nil {
		return nil, err
	}
	_, err = stdout.Read(make([]byte, len("ready")))
	return []any{worker, stdout}, err
}
