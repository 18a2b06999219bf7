// Prints answers of a daemon about one Compose project. Its client is generated from the daemon's OpenAPI document.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"client/outpost"
)

func must[T any](answer T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

func main() {
	ctx, url, project := context.Background(), os.Args[1], os.Args[2]
	client := must(outpost.NewClientWithResponses(url))

	list := must(client.GetConnectionsWithResponse(ctx, nil))
	anyTag := "*"
	again := must(client.GetConnectionsWithResponse(ctx, &outpost.GetConnectionsParams{IfNoneMatch: &anyTag}))
	fmt.Println("list:", list.StatusCode(), list.Headers200.ETag != "", again.StatusCode())
	byName := make(map[string]outpost.Connections)
	for _, container := range *list.JSON200 {
		byName[container.Name] = container
	}

	snapshot := must(client.GetSnapshotWithResponse(ctx, &outpost.GetSnapshotParams{Project: &project})).JSON200
	fmt.Println("snapshot:", snapshot.Version, len(snapshot.Containers), snapshot.TakenAt.Location(), snapshot.DurationMs > 0)
	for _, container := range snapshot.Containers {
		fmt.Println(*container.Service+":", container.Status == outpost.ContainerStatusOk, len(container.Connections))
		for _, listener := range container.Listening {
			reached := byName[container.Name].Listening[0]
			fmt.Println("  listens:", listener.Address, listener.Port, listener.Protocol == nil, listener.Published[0], reached.Address, reached.Port)
		}
		for _, connection := range container.Connections {
			fmt.Println("  connected:", connection.Direction == outpost.ConnectionDirectionOut, connection.State, byName[container.Name].Established[0].Address)
		}
	}

	group, depth, none := outpost.GetGraphParamsGroupService, 2, 0
	graph := must(client.GetGraphWithResponse(ctx, &outpost.GetGraphParams{Project: &project, Group: &group, Depth: &depth})).JSON200
	names := make(map[string]string)
	for _, node := range graph.Nodes {
		names[node.Id] = string(node.Kind) + " " + node.Name
	}
	fmt.Println("graph:", graph.Version, graph.Role == outpost.Daemon)
	for _, link := range graph.Links {
		fmt.Println("  link:", names[link.Client], names[link.Server], link.Port, link.Via, link.Evidence == outpost.EvidenceBoth, link.Connections, link.Live)
	}
	refused := must(client.GetGraphWithResponse(ctx, &outpost.GetGraphParams{Depth: &none}))
	fmt.Println("refused:", refused.StatusCode(), refused.JSON400.Error != "")
}
