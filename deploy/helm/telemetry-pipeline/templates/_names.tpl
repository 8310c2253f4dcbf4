{{/* Names of objects. A release whose name contains the chart's name is the prefix by itself. Names of StatefulSets have at most 52 characters,
since labels of their pods have a hash behind them: so the prefix has at most 36. */}}
{{- define "tp.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- end -}}
{{- $name | trunc 36 | trimSuffix "-" -}}
{{- end -}}

{{/* Labels by which Services and controllers select pods. They are immutable. Arguments: root, component. */}}
{{- define "tp.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* All labels. Arguments: root, component. */}}
{{- define "tp.labels" -}}
{{ include "tp.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: telemetry-pipeline
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{/* Labels of pods. No version is among them: a new one of the chart would restart pods that it does not change, etcd's too. */}}
{{- define "tp.podLabels" -}}
{{ include "tp.selector" . }}
app.kubernetes.io/part-of: telemetry-pipeline
{{- end -}}

{{/* Image of a program. Arguments: root, command, image (tag and digest of the component). */}}
{{- define "tp.image" -}}
{{- $i := .root.Values.image -}}
{{- $path := printf "%s/%s" $i.repository .command -}}
{{- if $i.registry }}{{ $path = printf "%s/%s" $i.registry $path }}{{ end -}}
{{- if .image.digest -}}
{{ $path }}@{{ .image.digest }}
{{- else -}}
{{ $path }}:{{ coalesce .image.tag $i.tag .root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "tp.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tp.etcdImage" -}}
{{- $i := .Values.etcd.image -}}
{{- $path := $i.repository -}}
{{- if $i.registry }}{{ $path = printf "%s/%s" $i.registry $path }}{{ end -}}
{{- if $i.digest }}{{ $path }}@{{ $i.digest }}{{ else }}{{ $path }}:{{ $i.tag }}{{ end -}}
{{- end -}}

{{/* Whether an object of a kind outside Kubernetes is rendered. Arguments: root, enabled (auto, true, false), api. */}}
{{- define "tp.optional" -}}
{{- if or (eq (toString .enabled) "true") (and (eq (toString .enabled) "auto") (.root.Capabilities.APIVersions.Has .api)) -}}true{{- end -}}
{{- end -}}
