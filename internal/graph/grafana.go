package graph

import "strconv"

// Grafana is a graph in the format of Grafana's node graph API data source (hamedkarbasi93-nodegraphapi-datasource).
type Grafana struct {
	Nodes []GrafanaNode `json:"nodes"`
	Edges []GrafanaEdge `json:"edges"`
}

// GrafanaNode is a node. Grafana defines the field names.
type GrafanaNode struct {
	ID            string `json:"id"`
	Title         string `json:"title"`
	SubTitle      string `json:"subTitle"`
	MainStat      string `json:"mainStat"`
	SecondaryStat string `json:"secondaryStat"`
	Kind          string `json:"detail__kind"`
	Host          string `json:"detail__host"`
	Image         string `json:"detail__image"`
	Project       string `json:"detail__project"`
	Service       string `json:"detail__service"`
}

// GrafanaEdge is a link. Grafana defines the field names.
type GrafanaEdge struct {
	ID            string `json:"id"`
	Source        string `json:"source"`
	Target        string `json:"target"`
	MainStat      string `json:"mainStat"`
	SecondaryStat string `json:"secondaryStat"`
	Via           string `json:"detail__via"`
	Evidence      string `json:"detail__evidence"`
}

// GrafanaField describes a field.
type GrafanaField struct {
	Name        string `json:"field_name"`
	Type        string `json:"type"`
	DisplayName string `json:"displayName,omitempty"`
}

// GrafanaFields describes all fields.
type GrafanaFields struct {
	Nodes []GrafanaField `json:"nodes_fields"`
	Edges []GrafanaField `json:"edges_fields"`
}

// FieldsForGrafana describes the fields that ForGrafana returns.
func FieldsForGrafana() GrafanaFields {
	text := func(name, display string) GrafanaField { return GrafanaField{name, "string", display} }
	return GrafanaFields{
		Nodes: []GrafanaField{
			text("id", ""), text("title", "Name"), text("subTitle", "Host"), text("mainStat", "Connections in"), text("secondaryStat", "Connections out"),
			text("detail__kind", "Kind"), text("detail__host", "Host"), text("detail__image", "Image"), text("detail__project", "Project"),
			text("detail__service", "Service"),
		},
		Edges: []GrafanaField{
			text("id", ""), text("source", ""), text("target", ""), text("mainStat", "Port"), text("secondaryStat", "Connections"),
			text("detail__via", "Via"), text("detail__evidence", "Evidence"),
		},
	}
}

// ForGrafana converts a graph to Grafana's format.
func ForGrafana(g Graph) Grafana {
	in, out := make(map[string]int), make(map[string]int)
	grafana := Grafana{Nodes: make([]GrafanaNode, len(g.Nodes)), Edges: make([]GrafanaEdge, len(g.Links))}
	for i, l := range g.Links {
		out[l.Client] += l.Connections
		in[l.Server] += l.Connections
		port := l.ServerPort().String()
		grafana.Edges[i] = GrafanaEdge{
			ID: l.Client + ">" + l.Server + ":" + port + "/" + l.Via.String(), Source: l.Client, Target: l.Server,
			MainStat: port, SecondaryStat: l.stat(), Via: l.Via.String(), Evidence: l.Evidence.String(),
		}
	}
	for i, n := range g.Nodes {
		grafana.Nodes[i] = GrafanaNode{
			ID: n.ID, Title: n.label(), SubTitle: n.Host, MainStat: strconv.Itoa(in[n.ID]) + " in", SecondaryStat: strconv.Itoa(out[n.ID]) + " out",
			Kind: string(n.Kind), Host: n.Host, Image: n.Image, Project: n.Project, Service: n.Service,
		}
	}
	return grafana
}
