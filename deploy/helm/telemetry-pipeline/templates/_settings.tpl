{{/* Settings that the chart computes, as YAML maps of variables; the env of values beats them. Argument: root. */}}
{{- define "tp.commonEnv" -}}
ADMIN_HOST: "*"
CLUSTER_ID: {{ .Values.clusterId | quote }}
{{- with include "tp.etcdEndpoints" . }}
ETCD_ENDPOINTS: {{ . | quote }}
{{- end }}
{{- if eq (include "tp.etcdTLS" .) "true" }}
ETCD_CA: /etc/telemetry/etcd/ca.crt
ETCD_CERT: /etc/telemetry/etcd/tls.crt
ETCD_KEY: /etc/telemetry/etcd/tls.key
{{- end }}
{{- if .Values.access.enabled }}
{{- if .Values.access.open }}{{ fail "access.open only goes with access.enabled=false: decide for one" }}{{ end }}
{{- if and .Values.access.existingSecret .Values.access.principals }}{{ fail "access.principals would have no effect beside access.existingSecret: write them into that Secret" }}{{ end }}
ACCESS_FILE: /etc/telemetry/access/principals
{{- with .Values.access.oidc.issuer }}
OIDC_ISSUER: {{ . | quote }}
OIDC_AUDIENCE: {{ required "access.oidc.audience is needed with access.oidc.issuer" $.Values.access.oidc.audience | quote }}
{{- end }}
{{- else if .Values.access.open }}
ACCESS_OPEN: "true"
{{- else }}
{{- fail "access.enabled=false lets everybody who reaches a pod do everything: if that is meant, set access.open=true as well" }}
{{- end }}
{{- with .Values.access.trustedProxies }}
TRUSTED_PROXIES: {{ . | quote }}
{{- end }}
{{- with .Values.traces.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ . | quote }}
OTEL_EXPORTER_OTLP_PROTOCOL: {{ $.Values.traces.protocol | quote }}
OTEL_TRACES_SAMPLER_ARG: {{ $.Values.traces.ratio | quote }}
{{- end }}
{{- if .Values.tls.enabled }}
TLS_CERT: /etc/telemetry/tls/tls.crt
TLS_KEY: /etc/telemetry/tls/tls.key
{{- if .Values.tls.clientCA }}
TLS_CLIENT_CA: /etc/telemetry/tls/ca.crt
{{- end }}
{{- end }}
{{- end -}}

{{- define "tp.archiveEnv" -}}
{{- with .Values.archive.url }}
ARCHIVE_URL: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "tp.streamerEnv" -}}
{{- $own := dict "HTTP_HOST" "*" "INGEST_ASYNC" (toString .Values.nexusStreamer.persistence.enabled) "ADMIN_PORT" "9081" -}}
{{- mergeOverwrite (include "tp.commonEnv" . | fromYaml) $own .Values.nexusStreamer.env | toYaml -}}
{{- end -}}

{{- define "tp.gatewayEnv" -}}
{{- $own := dict "QUERY_HOST" "*" "ADMIN_PORT" "9080" -}}
{{- if .Values.nexusGateway.cells.existingSecret }}{{ $_ := set $own "QUERY_CELLS" "/etc/telemetry/cells/cells" }}{{ end -}}
{{- with .Values.nexusGateway.uploadUrl }}{{ $_ := set $own "QUERY_UPLOAD_URL" . }}{{ end -}}
{{- mergeOverwrite (include "tp.commonEnv" . | fromYaml) (include "tp.archiveEnv" . | fromYaml) $own .Values.nexusGateway.env | toYaml -}}
{{- end -}}

{{- define "tp.collectorEnv" -}}
{{- $own := dict "PARTITION_DATA_DIR" "/var/lib/telemetry" "ADMIN_PORT" "9082" -}}
{{- if or .Values.etcd.enabled .Values.externalEtcd.compactsItself }}{{ $_ := set $own "COMPACT_INTERVAL" "-1s" }}{{ end -}}
{{- mergeOverwrite (include "tp.commonEnv" . | fromYaml) (include "tp.archiveEnv" . | fromYaml) $own .Values.nexusCollector.env | toYaml -}}
{{- end -}}

{{/* A port out of the settings of a component. Arguments: env, name, default. */}}
{{- define "tp.port" -}}
{{- $port := default .default (get .env .name) -}}
{{- if not (regexMatch "^[1-9][0-9]{0,4}$" $port) }}{{ fail (printf "%s is %q: a pod needs a port number" .name $port) }}{{ end -}}
{{- $port -}}
{{- end -}}

{{- define "tp.etcdEndpoints" -}}
{{- if .Values.etcd.enabled -}}
{{- $name := printf "%s-etcd" (include "tp.fullname" .) -}}
{{- $all := list -}}
{{- range $i := until (int .Values.etcd.replicaCount) -}}
{{- $all = append $all (printf "https://%s-%d.%s-headless.%s.svc:2379" $name $i $name $.Release.Namespace) -}}
{{- end -}}
{{- join "," $all -}}
{{- else -}}
{{- if not (or .Values.externalEtcd.endpoints (eq (include "tp.onlyCells" .) "true")) }}{{ fail "etcd.enabled=false needs externalEtcd.endpoints" }}{{ end -}}
{{- join "," .Values.externalEtcd.endpoints -}}
{{- end -}}
{{- end -}}

{{/* true for a release that is only a gateway over other releases' etcds. */}}
{{- define "tp.onlyCells" -}}
{{- if and .Values.nexusGateway.cells.existingSecret (not .Values.nexusStreamer.enabled) (not .Values.nexusCollector.enabled) -}}true{{- end -}}
{{- end -}}

{{- define "tp.etcdTLS" -}}
{{- $e := .Values.externalEtcd.tls -}}
{{- if or .Values.etcd.enabled $e.existingSecret $e.ingestd $e.collectd $e.queryd -}}true{{- end -}}
{{- end -}}

{{/* Secret with the client certificate of an etcd user. Arguments: root, user. */}}
{{- define "tp.etcdClientSecret" -}}
{{- $v := .root.Values -}}
{{- if not $v.etcd.enabled -}}
{{- required (printf "externalEtcd.tls needs existingSecret, or a Secret for %s" .user) (coalesce (get $v.externalEtcd.tls .user) $v.externalEtcd.tls.existingSecret) -}}
{{- else if eq $v.etcd.tls.mode "existing" -}}
{{- required (printf "etcd.tls.existing.%s is needed with etcd.tls.mode=existing" .user) (get $v.etcd.tls.existing .user) -}}
{{- else -}}
{{- printf "%s-etcd-%s" (include "tp.fullname" .root) .user -}}
{{- end -}}
{{- end -}}

{{/* Secret with the file of principals. */}}
{{- define "tp.principalsSecret" -}}
{{- default (printf "%s-principals" (include "tp.fullname" .)) .Values.access.existingSecret -}}
{{- end -}}

{{/* Secret with tokens for monitoring and helm test; "" when there is none. */}}
{{- define "tp.tokensSecret" -}}
{{- if .Values.access.enabled -}}
{{- if .Values.access.existingSecret }}{{ .Values.access.existingTokensSecret }}{{ else }}{{ include "tp.fullname" . }}-tokens{{ end -}}
{{- end -}}
{{- end -}}

{{- define "tp.tlsSecret" -}}
{{- if and (not .Values.tls.existingSecret) (not .Values.tls.certManager.enabled) }}{{ fail "tls.enabled needs tls.existingSecret or tls.certManager.enabled" }}{{ end -}}
{{- default (printf "%s-tls" (include "tp.fullname" .)) .Values.tls.existingSecret -}}
{{- end -}}

{{/* Environment that is not in the ConfigMap. Arguments: root, values, archive (whether the daemon reads the archive). */}}
{{- define "tp.secretEnv" -}}
- name: GOMEMLIMIT
  value: {{ include "tp.goMemoryLimit" .values.resources.limits.memory | quote }}
{{- with .root.Values.traces.headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef: {name: {{ . }}, key: headers}
{{- end }}
{{- if and (not .root.Values.etcd.enabled) .root.Values.externalEtcd.passwordSecret }}
{{- range $name, $key := dict "ETCD_USERNAME" "username" "ETCD_PASSWORD" "password" }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $.root.Values.externalEtcd.passwordSecret }}, key: {{ $key }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Secret with the credentials of the archive; "" for workload identity. */}}
{{- define "tp.archiveSecret" -}}
{{- if .Values.archive.url -}}
{{- if .Values.archive.credentials.existingSecret -}}
{{- .Values.archive.credentials.existingSecret -}}
{{- else if .Values.archive.credentials.accessKeyId -}}
{{- include "tp.fullname" . }}-archive
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tp.archiveSecretData" -}}
AWS_ACCESS_KEY_ID: {{ .Values.archive.credentials.accessKeyId | quote }}
AWS_SECRET_ACCESS_KEY: {{ required "archive.credentials.secretAccessKey is needed with accessKeyId" .Values.archive.credentials.secretAccessKey | quote }}
{{- end -}}

{{/* Files of a daemon. Arguments: root, user (in etcd). */}}
{{- define "tp.fileMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if eq (include "tp.etcdTLS" .root) "true" }}
- {name: etcd-client, mountPath: /etc/telemetry/etcd, readOnly: true}
{{- end }}
{{- if .root.Values.access.enabled }}
- {name: access, mountPath: /etc/telemetry/access, readOnly: true}
{{- end }}
{{- if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/telemetry/tls, readOnly: true}
{{- end }}
{{- end -}}

{{/* Arguments: root, user, values. */}}
{{- define "tp.fileVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: {{ .values.tmpSize }}
{{- if eq (include "tp.etcdTLS" .root) "true" }}
- name: etcd-client
  secret:
    secretName: {{ include "tp.etcdClientSecret" . }}
    defaultMode: 0440
{{- end }}
{{- if .root.Values.access.enabled }}
- name: access
  secret:
    secretName: {{ include "tp.principalsSecret" .root }}
    defaultMode: 0440
    items:
      - {key: principals, path: principals}
{{- end }}
{{- if .root.Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "tp.tlsSecret" .root }}
    defaultMode: 0440
{{- end }}
{{- end -}}
