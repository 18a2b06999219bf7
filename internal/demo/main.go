// Command demo starts containers that talk to each other in each of the usual ways, runs Outpost beside them as
// the README says, and prints what it answers and who talks to whom.
//
//	demo up IMAGE [NAME PORT]   start them, called NAME-…, and print the answer
//	demo down [NAME]            remove them
//
// IMAGE is Outpost's. It serves on PORT; the three ports after that are taken by the others.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/PabloL007/outpost/internal/lab"
)

const (
	defaultName = "demo"
	defaultPort = 9057
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var verb string
	if len(args) > 0 {
		verb = args[0]
	}
	switch {
	case verb == "up" && len(args) == 2:
		return up(ctx, lab.New(defaultName, os.Stdout), args[1], defaultPort)
	case verb == "up" && len(args) == 4:
		port, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		return up(ctx, lab.New(args[2], os.Stdout), args[1], port)
	case verb == "down" && len(args) == 1:
		return lab.New(defaultName, os.Stdout).Close(ctx)
	case verb == "down" && len(args) == 2:
		return lab.New(args[1], os.Stdout).Close(ctx)
	}
	return errors.New("usage: demo up IMAGE [NAME PORT] | demo down [NAME]")
}

func up(ctx context.Context, l *lab.Lab, image string, port int) error {
	if err := l.Close(ctx); err != nil { // what an earlier demo left
		return err
	}
	if err := startPeers(ctx, l, port); err != nil {
		return err
	}
	publish := fmt.Sprintf("%d:9057", port)
	if _, err := l.Run(ctx, "outpost", "-p", publish, "-v", "/var/run/docker.sock:/var/run/docker.sock",
		"-e", "OUTPOST_INTERFACES="+hostAddress(), image); err != nil {
		return err
	}
	if err := printAnswer(ctx, fmt.Sprintf("http://localhost:%d/connections", port)); err != nil {
		return err
	}
	links, err := l.Docker(ctx, "exec", l.Name("outpost"), "/outpost", "links")
	if err != nil {
		return err
	}
	fmt.Printf("%s\n\nThe map: http://localhost:%d\n", links, port)
	return nil
}

// startPeers starts the containers of which Outpost is to tell.
func startPeers(ctx context.Context, l *lab.Lab, port int) error {
	files, err := lab.Tools(ctx)
	if err != nil {
		return err
	}
	tools, err := l.Import(ctx, "tools", files)
	if err != nil {
		return err
	}
	if err := l.Network(ctx, "net"); err != nil {
		return err
	}
	web, metrics, agent := port+1, port+2, port+3
	published := fmt.Sprintf("%s:%d", hostAddress(), web)
	for _, c := range []struct {
		part string
		args []string
	}{
		// On a bridge network: db is not published, web is, and has two connections to db.
		{"db", []string{"--network", l.Name("net"), tools, "peer", "listen:tcp:[::]:5432"}},
		{"web", []string{
			"--network", l.Name("net"), "-p", fmt.Sprintf("%d:8080", web), "-p", fmt.Sprintf("%d:9100", metrics),
			tools, "peer", "listen:tcp4:0.0.0.0:8080", "dial:2:" + l.Name("db") + ":5432",
		}},
		// On another network, coming through the published port.
		{"client", []string{tools, "peer", "dial:3:" + published}},
		// In web's network namespace.
		{"sidecar", []string{"--network", "container:" + l.Name("web"), tools, "peer", "listen:tcp4:0.0.0.0:9100", "dial:1:127.0.0.1:8080"}},
		// On the host's network.
		{"agent", []string{"--network", "host", tools, "peer", fmt.Sprintf("listen:tcp4:0.0.0.0:%d", agent), "dial:1:" + published}},
	} {
		if _, err := l.Run(ctx, c.part, c.args...); err != nil {
			return err
		}
		if err := l.Ready(ctx, c.part); err != nil {
			return err
		}
	}
	return nil
}

// hostAddress returns the first address at which containers reach this host.
func hostAddress() string {
	addrs, _ := net.InterfaceAddrs() // without any, there still is the engine's bridge
	for _, addr := range addrs {
		if network, ok := addr.(*net.IPNet); ok && network.IP.IsGlobalUnicast() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	return "172.17.0.1"
}

// printAnswer asks until there is an answer.
func printAnswer(ctx context.Context, url string) error {
	fmt.Println("+ curl", url)
	const patience, pause = 20 * time.Second, 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := get(ctx, url)
	for err != nil {
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			body, err = get(ctx, url)
		}
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	_, err = pretty.WriteTo(os.Stdout)
	return err
}

func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return body, err
}
