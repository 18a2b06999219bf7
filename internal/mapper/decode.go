package mapper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	snapshotv1 "github.com/PabloL007/outpost/internal/snapshot/v1"
)

// decode reads a response body to its end and decodes it. It decodes nothing of a body that is too long.
func decode(body io.Reader, format string) (document snapshotv1.Snapshot, err error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return document, err
	}
	if isBomb(text) {
		return document, errors.New("not a response of Outpost: too many tiny JSON values")
	}
	if format == formatConnections {
		var list []snapshotv1.ContainerConnections
		err := json.Unmarshal(text, &list)
		return fromConnections(list), err
	}
	err = json.Unmarshal(text, &document)
	// In another version, a field may have another type: then the version is the better error.
	_, isTypeError := errors.AsType[*json.UnmarshalTypeError](err)
	if (err == nil || isTypeError && document.Version != 0) && document.Version != snapshotv1.Version {
		return document, fmt.Errorf("responds with snapshot version %d; want version %d", document.Version, snapshotv1.Version)
	}
	return document, err
}

// fromConnections returns the snapshot that the document of GET /connections implies. A container's name replaces its ID, host
// endpoints replace its listeners, and the direction of connections is unknown.
func fromConnections(list []snapshotv1.ContainerConnections) snapshotv1.Snapshot {
	document := snapshotv1.Snapshot{Version: snapshotv1.Version}
	for _, c := range list {
		container := snapshotv1.Container{ID: c.Name, Name: c.Name, Image: c.Artefact}
		for _, endpoint := range c.Listening {
			container.Listening = append(container.Listening, snapshotv1.Listener{
				Endpoint: snapshotv1.Endpoint{Address: "0.0.0.0", Port: endpoint.Port}, Protocol: endpoint.Protocol, Published: []snapshotv1.Endpoint{endpoint.Endpoint},
			})
			if addr, err := netip.ParseAddr(endpoint.Address); err == nil && !addr.IsUnspecified() {
				document.Host.Addresses = append(document.Host.Addresses, addr)
			}
		}
		for _, endpoint := range c.Established {
			container.Connections = append(container.Connections, snapshotv1.Connection{Remote: endpoint.Endpoint, Protocol: endpoint.Protocol, State: "ESTABLISHED"})
		}
		document.Containers = append(document.Containers, container)
	}
	return document
}

// ReadReason returns the reason in the body of an error response of Outpost, or "" if it has none.
func ReadReason(body io.Reader) string {
	const maxLength = 4 << 10
	var response struct{ Error string }
	if err := json.NewDecoder(io.LimitReader(body, maxLength)).Decode(&response); err != nil {
		return ""
	}
	return response.Error
}
