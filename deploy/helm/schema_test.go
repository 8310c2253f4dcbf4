package helm

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// jsonSchema is a part of a JSON schema.
type jsonSchema map[string]any

// TestSchemaIsCurrent compares values.schema.json with the one that values.yaml and the flags of the daemons make; -update writes it.
func TestSchemaIsCurrent(t *testing.T) {
	var doc yaml.Node
	if err := yaml.Unmarshal(readFile(t, filepath.Join(chartDir, "values.yaml")), &doc); err != nil {
		t.Fatal(err)
	}
	g := schemaMaker{t: t}
	root := g.makeNode("", doc.Content[0])
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Values of chart telemetry-pipeline"
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	compareOrUpdate(t, filepath.Join(chartDir, "values.schema.json"), append(text, '\n'))
}

// schemaMaker makes the schema of values.yaml: its keys are all there are, and its defaults say the types.
type schemaMaker struct{ t *testing.T }

func (g schemaMaker) makeNode(path string, node *yaml.Node) jsonSchema {
	if made := g.special(path); made != nil {
		return made
	}
	switch {
	case node.Kind == yaml.MappingNode && len(node.Content) > 0:
		properties := jsonSchema{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			p := g.makeNode(path+"."+key.Value, node.Content[i+1])
			if text := commentOf(key, node.Content[i+1]); text != "" {
				p["description"] = text
			}
			properties[key.Value] = p
		}
		return jsonSchema{"type": "object", "additionalProperties": false, "properties": properties}
	case node.Tag == "!!bool":
		return jsonSchema{"type": "boolean"}
	case node.Tag == "!!int":
		return jsonSchema{"type": "integer", "minimum": 0}
	case node.Tag == "!!str":
		return jsonSchema{"type": "string"}
	}
	g.t.Errorf("values%s: the schema has no rule for it", path)
	return jsonSchema{}
}

// commentOf returns the comment of a key as one line.
func commentOf(key, value *yaml.Node) string {
	text := key.HeadComment
	if text == "" {
		text = value.LineComment
	}
	return strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(text, "\n# ", " "), "# ", ""))
}

// special returns the schema of a key whose default does not say all; nil for others.
func (g schemaMaker) special(path string) jsonSchema {
	texts := jsonSchema{"type": "object", "additionalProperties": jsonSchema{"type": "string"}}
	quantity := jsonSchema{"type": "string", "pattern": `^[0-9.]+([KMGT]i?|k|m)?$`}
	free := jsonSchema{"type": "object"}
	daemons := map[string]string{".nexusStreamer.env": "ingestd", ".nexusGateway.env": "queryd", ".nexusCollector.env": "collectd"}
	if program := daemons[path]; program != "" {
		return g.makeEnv(program)
	}
	rules := []struct {
		pattern string
		made    jsonSchema
	}{
		{`^\.global$`, free},
		{`\.affinity$`, free},
		{`([aA]nnotations|[lL]abels|\.nodeSelector)$`, texts},
		{`\.tolerations$|\.clients$|\.etcdClients$|\.extraEgress$|\.parentRefs$`, jsonSchema{"type": "array", "items": free}},
		{`\.pullSecrets$|\.dnsNames$|\.endpoints$|\.cidrs$`, jsonSchema{"type": "array", "items": jsonSchema{"type": "string"}}},
		{`\.objectStore\.ports$|\.cells\.ports$`, jsonSchema{"type": "array", "items": jsonSchema{"type": "integer", "minimum": 1, "maximum": 65535}}},
		{`\.principals$`, jsonSchema{"type": "array", "items": principalSchema()}},
		{`\.resources\.(requests|limits)$`, jsonSchema{"type": "object", "additionalProperties": false, "properties": jsonSchema{
			"cpu": quantity, "memory": quantity, "ephemeral-storage": quantity}}},
		{`[sS]ize$`, quantity},
		{`^\.etcd\.persistence\.directory$`, jsonSchema{"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$"}},
		{`^\.etcd\.replicaCount$`, jsonSchema{"enum": []int{1, 3, 5}}},
		{`\.port$|\.targetPort$`, jsonSchema{"type": "integer", "minimum": 1, "maximum": 65535}},
		{`\.service\.type$`, jsonSchema{"enum": []string{"ClusterIP", "NodePort", "LoadBalancer"}}},
		{`\.pullPolicy$`, jsonSchema{"enum": []string{"Always", "IfNotPresent", "Never"}}},
		{`^\.etcd\.tls\.mode$`, jsonSchema{"enum": []string{"generated", "certManager", "existing"}}},
		{`^\.etcd\.initialClusterState$`, jsonSchema{"enum": []string{"", "new", "existing"}}},
		{`^\.traces\.protocol$`, jsonSchema{"enum": []string{"http/protobuf", "grpc"}}},
		{`^\.traces\.ratio$`, jsonSchema{"type": "string", "pattern": `^(0|1|0?\.[0-9]+)$`}},
		{`^\.traces\.endpoint$`, jsonSchema{"type": "string", "pattern": "^(https?://[^ ]+)?$"}},
		{`issuerRef\.kind$`, jsonSchema{"enum": []string{"Issuer", "ClusterIssuer"}}},
		{`^\.monitoring\.\w+\.enabled$`, jsonSchema{"enum": []any{"auto", true, false}}},
		{`\.quotaBytes$`, jsonSchema{"type": "string", "pattern": "^[0-9]+$"}},
		{`image\.digest$`, jsonSchema{"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}},
		{`\.keep$|minReplicas$|maxReplicas$|targetCPU$|validityDays$`, jsonSchema{"type": "integer", "minimum": 1}},
	}
	for _, r := range rules {
		if regexp.MustCompile(r.pattern).MatchString(path) {
			return r.made
		}
	}
	return nil
}

// principalSchema is the schema of a line of the file of principals.
func principalSchema() jsonSchema {
	text := jsonSchema{"type": "string"}
	return jsonSchema{"type": "object", "additionalProperties": false, "required": []string{"id", "roles", "scope"}, "properties": jsonSchema{
		"id": text, "sha256": text, "subject": text, "certificate": text, "scope": text, "expires": text,
		"roles": jsonSchema{"type": "array", "items": jsonSchema{"enum": []string{"ingest", "read", "admin"}}},
	}}
}

// makeEnv returns the schema of the variables of a program. A password has no place in a ConfigMap.
func (g schemaMaker) makeEnv(program string) jsonSchema {
	properties := jsonSchema{}
	for name, usage := range variablesOf(g.t, program) {
		if name != "ETCD_PASSWORD" {
			properties[name] = jsonSchema{"type": "string", "description": usage}
		}
	}
	for name, usage := range libraryVariables() {
		properties[name] = jsonSchema{"type": "string", "description": usage}
	}
	return jsonSchema{"type": "object", "additionalProperties": false, "properties": properties}
}

// libraryVariables returns the variables that the library of traces reads by itself, with their meaning. Headers have tokens, and so no
// place in a ConfigMap.
func libraryVariables() map[string]string {
	return map[string]string{
		"OTEL_SERVICE_NAME":              "name of the program in its traces, in place of its own",
		"OTEL_RESOURCE_ATTRIBUTES":       "further attributes of the program in its traces, such as deployment.environment.name=production",
		"OTEL_EXPORTER_OTLP_CERTIFICATE": "file with the certificates that the receiver of traces may have",
		"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip: traces are sent compressed",
		"OTEL_BSP_SCHEDULE_DELAY":        "milliseconds for which finished spans are gathered",
	}
}

// variablesOf returns the variables of a program with their meaning, as docs/CONFIG.md has them.
func variablesOf(t *testing.T, program string) map[string]string {
	t.Helper()
	text, err := programCommand(t.Context(), t, program, nil, "-help-markdown").Output()
	if err != nil {
		t.Fatalf("asking %s for its flags: %v", program, err)
	}
	all := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `-[^`]+` \\| `([A-Z0-9_]+)` \\| [^|]+ \\| (.*) \\|$").FindAllStringSubmatch(string(text), -1) {
		all[m[1]] = m[2]
	}
	if len(all) < 20 {
		t.Fatalf("%s has %d variables: the table of -help-markdown is read wrongly", program, len(all))
	}
	return all
}

// parseValues returns values from YAML.
func parseValues(t *testing.T, text string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := sigsyaml.Unmarshal([]byte(text), &values); err != nil {
		t.Fatal(err)
	}
	return values
}

// TestSchemaRefusesSlips: typos on each level, and numbers where texts are needed, since Helm makes 1.048576e+08 of them.
func TestSchemaRefusesSlips(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"nexusstreamer: {}":                                         "nexusstreamer",
		"nexusStreamer: {replicacount: 1}":                          "replicacount",
		"nexusStreamer: {env: {MAX_UPLOAD_SIZE: 104857600}}":        "MAX_UPLOAD_SIZE",
		"nexusStreamer: {env: {MAX_UPLOADSIZE: \"1\"}}":             "MAX_UPLOADSIZE",
		"nexusStreamer: {env: {PORT: \"8080\"}}":                    "PORT",
		"nexusGateway: {env: {HTTP_PORT: \"8080\"}}":                "HTTP_PORT",
		"nexusGateway: {env: {ENABLE_CORS: true}}":                  "ENABLE_CORS",
		"nexusCollector: {env: {ETCD_PASSWORD: geheim}}":            "ETCD_PASSWORD",
		"nexusGateway: {env: {OTEL_EXPORTER_OTLP_HEADERS: a=b}}":    "OTEL_EXPORTER_OTLP_HEADERS",
		"nexusGateway: {env: {OTEL_EXPORTER_OTLP_ENDPONT: a}}":      "OTEL_EXPORTER_OTLP_ENDPONT",
		"traces: {endpoint: collector:4317}":                        "endpoint",
		"traces: {ratio: \"2\"}":                                    "ratio",
		"traces: {protocol: http/json}":                             "protocol",
		"nexusStreamer: {service: {prot: 1}}":                       "prot",
		"etcd: {replicaCount: 2}":                                   "replicaCount",
		"etcd: {tls: {mode: none}}":                                 "mode",
		"etcd: {quotaBytes: 8589934592}":                            "quotaBytes",
		"access: {principals: [{id: a, roles: [write], scope: x}]}": "roles",
		"image: {digest: latest}":                                   "digest",
	} {
		_, err := tryRender(t, releaseName, parseValues(t, text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(fmt.Sprint(err), "schema") {
			t.Errorf("%s: got %v, want the schema's error about %s", text, err, want)
		}
	}
	render(t, parseValues(t, "global: {any: {thing: 1}}"))
}
