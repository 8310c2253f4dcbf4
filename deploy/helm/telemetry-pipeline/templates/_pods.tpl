{{/* Parts of pods that all have. */}}
{{- define "tp.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tp.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Go does not read the memory limit of its container: 90 % of it is GOMEMLIMIT. Argument: the limit. */}}
{{- define "tp.goMemoryLimit" -}}
{{- $q := toString . -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 -}}
{{- $number := regexFind "^[0-9.]+" $q -}}
{{- $unit := trimPrefix $number $q -}}
{{- $factor := 1 -}}
{{- if $unit -}}
{{- if not (hasKey $units $unit) }}{{ fail (printf "resources.limits.memory %q: write it with one of Ki, Mi, Gi, Ti, k, M, G, T, or as bytes" $q) }}{{ end -}}
{{- $factor = get $units $unit -}}
{{- end -}}
{{- printf "%d" (int64 (mulf (float64 $number) $factor 0.9)) -}}
{{- end -}}

{{/* Small containers of Jobs. */}}
{{- define "tp.jobResources" -}}
requests: {cpu: 50m, memory: 64Mi}
limits: {cpu: "1", memory: 512Mi}
{{- end -}}

{{/* Arguments: root, component. */}}
{{- define "tp.spread" -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "tp.selector" $ | nindent 6 }}
{{- end }}
{{- end -}}

{{/* Probes of a daemon, on its admin port. Neither liveness nor startup depends on etcd. Argument: root. */}}
{{- define "tp.probes" -}}
{{- $scheme := ternary "HTTPS" "HTTP" .Values.tls.enabled -}}
startupProbe:
  httpGet: {path: /health, port: admin, scheme: {{ $scheme }}}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /health, port: admin, scheme: {{ $scheme }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /ready, port: admin, scheme: {{ $scheme }}}
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}

{{/* The rest of a daemon's pod. Arguments: root, component, values (of the component). */}}
{{- define "tp.podPlacement" -}}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/* Fails when the volumes of a StatefulSet would change, which Kubernetes refuses without a word about the way. Arguments: root, name, size, value. */}}
{{- define "tp.volumeKeepsItsSize" -}}
{{- $there := lookup "apps/v1" "StatefulSet" .root.Release.Namespace .name | default dict -}}
{{- range dig "spec" "volumeClaimTemplates" list $there -}}
{{- $size := dig "spec" "resources" "requests" "storage" "" . -}}
{{- if and $size (ne $size $.size) -}}
{{- fail (printf "%s is %s, and the StatefulSet %s has volumes of %s, which cannot be changed in place: docs/DEPLOY.md, Larger volumes, has the steps" $.value $.size $.name $size) -}}
{{- end -}}
{{- end -}}
{{- end -}}
