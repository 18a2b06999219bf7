// Command demo starts containers that talk to each other in each of the usual ways, runs Outpost beside them as
// the README says, and prints what it answers.
//
//	demo up IMAGE     start them and print the answer
//	demo down IMAGE   remove them, and the image
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
	"time"

	"github.com/PabloL007/outpost/internal/lab"
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
	if len(args) != 2 {
		return errors.New("usage: demo up|down IMAGE")
	}
	demo := &demo{lab: lab.New("demo", os.Stdout), image: args[1]}
	switch args[0] {
	case "up":
		return demo.up(ctx)
	case "down":
		return demo.down(ctx)
	}
	return fmt.Errorf("neither up nor down: %q", args[0])
}

type demo struct {
	lab   *lab.Lab
	image string // Outpost's
}

// The ports that the demo takes on the host.
const (
	webPort     = "18080" // published by web
	metricsPort = "19100" // published by web, served by its sidecar
	agentPort   = "18081" // of the container on the host's network
)

func (d *demo) up(ctx context.Context) error {
	if err := d.down(ctx); err != nil {
		return err
	}
	files, err := lab.Tools(ctx)
	if err != nil {
		return err
	}
	tools, err := d.lab.Import(ctx, "tools", files)
	if err != nil {
		return err
	}
	if err := d.lab.Network(ctx, "net"); err != nil {
		return err
	}
	address := hostAddress()
	for _, c := range []struct {
		part string
		args []string
	}{
		// A bridge network: db is not published, web is and has two connections to db.
		{"db", []string{"--network", d.lab.Name("net"), tools, "peer", "listen:tcp:[::]:5432"}},
		{"web", []string{"--network", d.lab.Name("net"), "-p", webPort + ":8080", "-p", metricsPort + ":9100",
			tools, "peer", "listen:tcp4:0.0.0.0:8080", "dial:2:" + d.lab.Name("db") + ":5432"}},
		// A client on another network, which comes through the published port.
		{"client", []string{tools, "peer", "dial:3:" + address + ":" + webPort}},
		// A sidecar in web's network namespace.
		{"sidecar", []string{"--network", "container:" + d.lab.Name("web"), tools, "peer", "listen:tcp4:0.0.0.0:9100", "dial:1:127.0.0.1:8080"}},
		// A container on the host's network.
		{"agent", []string{"--network", "host", tools, "peer", "listen:tcp4:0.0.0.0:" + agentPort, "dial:1:" + address + ":" + webPort}},
	} {
		if _, err := d.lab.Run(ctx, c.part, c.args...); err != nil {
			return err
		}
		if err := d.lab.Ready(ctx, c.part); err != nil {
			return err
		}
	}
	if _, err := d.lab.Docker(ctx, "run", "-d", "--name", "outpost", "-p", "9057:9057",
		"-v", "/var/run/docker.sock:/var/run/docker.sock", "-e", "OUTPOST_INTERFACES="+address, d.image); err != nil {
		return err
	}
	return printAnswer(ctx, "http://localhost:9057/connections")
}

func (d *demo) down(ctx context.Context) error {
	if _, err := d.lab.Docker(ctx, "rm", "-f", "outpost"); err != nil && !isMissing(err) {
		return err
	}
	return d.lab.Close(ctx)
}

func isMissing(err error) bool {
	return bytes.Contains([]byte(err.Error()), []byte("No such container"))
}

// hostAddress returns the first address at which the containers reach this host.
func hostAddress() string {
	addrs, _ := net.InterfaceAddrs()
	for _, addr := range addrs {
		if network, ok := addr.(*net.IPNet); ok && network.IP.IsGlobalUnicast() && network.IP.To4() != nil {
			return network.IP.String()
		}
	}
	return "172.17.0.1" // of the engine's own bridge
}

func printAnswer(ctx context.Context, url string) error {
	fmt.Println("+ curl", url)
	const patience = 20 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		body, err := get(ctx, url)
		if err == nil {
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, body, "", "  "); err != nil {
				return fmt.Errorf("%s: %w", url, err)
			}
			fmt.Println(pretty.String())
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
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
