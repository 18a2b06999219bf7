// Command peer is what runs in the containers of tests and of the demo: it listens and dials as it is told, and
// holds what it has. It prints "ready" when all of it is done.
//
//	peer listen:tcp4:0.0.0.0:80    listen and accept
//	peer queue:tcp:[::]:80         listen and never accept
//	peer reuse:tcp4:0.0.0.0:80     two listeners with SO_REUSEPORT
//	peer dial:3:web:80             three connections, tried until they succeed
//	peer as:65534:dial:1:web:80    the same in a process of another user
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	var held []any // the garbage collector closes what nobody holds
	for _, instruction := range os.Args[1:] {
		got, err := follow(context.Background(), instruction)
		if err != nil {
			fmt.Fprintf(os.Stderr, "peer: %s: %v\n", instruction, err)
			os.Exit(1)
		}
		held = append(held, got)
	}
	fmt.Println("ready")
	for {
		time.Sleep(time.Hour)
		_ = held
	}
}

func follow(ctx context.Context, instruction string) (any, error) {
	verb, rest, _ := strings.Cut(instruction, ":")
	first, address, _ := strings.Cut(rest, ":")
	switch verb {
	case "listen":
		listener, err := listen(ctx, first, address, false)
		if err == nil {
			go accept(listener)
		}
		return listener, err
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
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		if !reuse {
			return nil
		}
		const reusePort = 15 // SO_REUSEPORT of asm-generic/socket.h; package syscall lacks it
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1)
		}), err)
	}}
	return config.Listen(ctx, network, address)
}

func accept(listener net.Listener) {
	var held []net.Conn
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		held = append(held, conn)
		_ = held
	}
}

func dial(ctx context.Context, count, address string) ([]net.Conn, error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var held []net.Conn
	for len(held) < n {
		var dialer net.Dialer
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

// become changes the user, as servers do in their workers, and follows an instruction. (With a credential for the
// child, exec would change it while the child shares its parent's memory, and so make the parent undumpable.)
func become(ctx context.Context, user, instruction string) (any, error) {
	uid, err := strconv.Atoi(user)
	if err == nil {
		err = errors.Join(syscall.Setgid(uid), syscall.Setuid(uid))
	}
	if err != nil {
		return nil, err
	}
	return follow(ctx, instruction)
}

// fork follows an instruction in a process of its own and waits until it is done.
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
