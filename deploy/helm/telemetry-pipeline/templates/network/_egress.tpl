{{/* Rules that several policies have. */}}
{{- define "tp.fromMonitoring" }}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ .Values.networkPolicy.monitoringNamespace }}}
{{- end }}
{{- define "tp.egressDNS" }}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end }}
{{- define "tp.egressEtcd" }}
{{- if .Values.etcd.enabled }}
- to:
    - podSelector:
        matchLabels: {{- include "tp.selector" (dict "root" . "component" "etcd") | nindent 10 }}
  ports:
    - {port: 2379, protocol: TCP}
{{- else if .Values.externalEtcd.endpoints }}
- ports:
    {{- range $port := include "tp.externalEtcdPorts" . | fromJsonArray }}
    - {port: {{ $port }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- end }}
{{- define "tp.externalEtcdPorts" }}
{{- $ports := list }}
{{- range .Values.externalEtcd.endpoints }}
{{- $port := regexFind "[0-9]+$" . }}
{{- $ports = append $ports (int (default "2379" $port)) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}
{{- define "tp.egressCells" }}
{{- if .Values.nexusGateway.cells.existingSecret }}
- ports:
    {{- range .Values.nexusGateway.cells.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end }}
{{- end }}
{{- define "tp.egressObjectStore" }}
- ports:
    {{- range .Values.networkPolicy.objectStore.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  {{- with .Values.networkPolicy.objectStore.cidrs }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end }}
{{/* To the receiver of traces, if there is one. Argument: the environment of a daemon. */}}
{{- define "tp.egressTraces" }}
{{- $endpoint := coalesce (get . "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") (get . "OTEL_EXPORTER_OTLP_ENDPOINT") }}
{{- if and $endpoint (ne (get . "OTEL_SDK_DISABLED") "true") }}
{{- $port := regexReplaceAll "^https?://(?:\\[[^]]*\\]|[^:/]*)(?::([0-9]+))?(?:/.*)?$" $endpoint "${1}" }}
- ports:
    - {port: {{ $port | default (ternary "443" "80" (hasPrefix "https:" $endpoint)) }}, protocol: TCP}
{{- end }}
{{- end }}
{{- define "tp.egressIssuer" }}
{{- with .Values.access.oidc.issuer }}
- ports:
    - {port: {{ regexFind ":[0-9]+" (trimPrefix "https:" (trimPrefix "http:" .)) | trimPrefix ":" | default (ternary "80" "443" (hasPrefix "http://" .)) }}, protocol: TCP}
{{- end }}
{{- end }}
