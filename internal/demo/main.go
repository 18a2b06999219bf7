// Command demo starts containers that connect to each other in each of the usual ways, and Outpost beside them. It prints
// Outpost's answers: the endpoints of each container, and the links between them.
//
//	demo up IMAGE [NAME PORT]   start containers called NAME-…, and print the answers
//	demo down [NAME]            remove them
//
// IMAGE is the image of Outpost, which serves on PORT. The other containers use the next three ports.
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
	var command string
	if len(args) > 0 {
		command = args[0]
	}
	switch {
	case command == "up" && len(args) == 2:
		return up(ctx, defaultName, args[1], defaultPort)
	case command == "up" && len(args) == 4:
		port, err := strconv.Atoi(args[3])
		if err != nil {
			return err
		}
		return up(ctx, args[2], args[1], port)
	case command == "down" && len(args) == 1:
		return lab.New(defaultName, os.Stdout).Close(ctx)
	case command == "down" && len(args) == 2:
		return lab.New(args[1], os.Stdout).Close(ctx)
	}
	return errors.New("usage: demo up IMAGE [NAME PORT] | demo down [NAME]")
}

func up(ctx context.Context, name, image string, port int) error {
	l := lab.New(name, os.Stdout)
	if err := l.Close(ctx); err != nil { // removes the containers of an earlier demo
		return err
	}
	heading("Starting five containers and Outpost")
	if err := startPeers(ctx, l, port); err != nil {
		return err
	}
	publish := fmt.Sprintf("%d:9057", port)
	if _, err := l.Run(ctx, "outpost", "-p", publish, "-v", "/var/run/docker.sock:/var/run/docker.sock",
		"-e", "OUTPOST_INTERFACES="+hostAddress(), image); err != nil {
		return err
	}
	heading("The endpoints of each container")
	if err := printAnswer(ctx, fmt.Sprintf("http://localhost:%d/connections", port)); err != nil {
		return err
	}
	heading("The links between them")
	links, err := l.Docker(ctx, "exec", l.Name("outpost"), "/outpost", "links")
	if err != nil {
		return err
	}
	fmt.Println(links)
	heading("Next steps")
	fmt.Printf("Open the map:    http://localhost:%d\nRemove the demo: go run ./internal/demo down %s\n", port, name)
	return nil
}

func heading(text string) { fmt.Printf("\n# %s\n\n", text) }

// startPeers starts the containers that Outpost observes.
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
		// On a bridge network. The port of db is not published; that of web is. web has two connections to db.
		{"db", []string{"--network", l.Name("net"), tools, "peer", "listen:tcp:[::]:5432"}},
		{"web", []string{
			"--network", l.Name("net"), "-p", fmt.Sprintf("%d:8080", web), "-p", fmt.Sprintf("%d:9100", metrics),
			tools, "peer", "listen:tcp4:0.0.0.0:8080", "dial:2:" + l.Name("db") + ":5432",
		}},
		// On another network, connected through the published port.
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

// hostAddress returns an address at which containers reach this host: its first global one, or that of the default bridge.
func hostAddress() string {
	addrs, _ := net.InterfaceAddrs() // after an error, the bridge's address is left
	for _, addr := range addrs {
		if network, ok := addr.(*net.IPNet); ok && network.IP.IsGlobalUnicast() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	return "172.17.0.1"
}

// printAnswer prints the answer of url. It retries while Outpost starts.
func printAnswer(ctx context.Context, url string) error {
	fmt.Println("+ curl", url)
	const timeout, pause = 20 * time.Second, 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, timeout)
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
