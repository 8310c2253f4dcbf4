{{/* What both containers of the test have. */}}
{{- define "tp.testContainer" }}
{{- with include "tp.tokensSecret" . }}
env:
  - name: TOKEN
    valueFrom:
      secretKeyRef: {name: {{ . }}, key: test-token}
{{- end }}
securityContext: {{- include "tp.containerSecurity" . | nindent 2 }}
resources: {{- include "tp.jobResources" . | nindent 2 }}
volumeMounts:
  - {name: sample, mountPath: /etc/telemetry/test, readOnly: true}
  {{- if .Values.tls.enabled }}
  - {name: tls, mountPath: /etc/telemetry/tls, readOnly: true}
  {{- end }}
{{- end }}

{{/* true if helm test has something to call. */}}
{{- define "tp.isTested" -}}
{{- if and .Values.tests.enabled .Values.nexusStreamer.enabled .Values.nexusGateway.enabled .Values.nexusStreamer.service.enabled .Values.nexusGateway.service.enabled -}}true{{- end -}}
{{- end -}}
