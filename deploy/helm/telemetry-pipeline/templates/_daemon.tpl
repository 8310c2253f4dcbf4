{{/* Objects that each daemon has. Arguments of all: root, component, command, user (in etcd), key (of values), values, env (a map), ports (a list
of name and number), archive (whether it reads the archive), mounts and volumes (further ones, as YAML). */}}

{{- define "tp.daemonConfig" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "tp.fullname" .root }}-{{ .component }}
  labels: {{- include "tp.labels" . | nindent 4 }}
data:
{{- range $name, $value := .env }}
  {{ $name }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "tp.daemonAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "tp.fullname" .root }}-{{ .component }}
  labels: {{- include "tp.labels" . | nindent 4 }}
  {{- with .values.serviceAccount.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end -}}

{{/* The Service that monitoring scrapes; it is never of another type, so that nobody publishes admin ports. */}}
{{- define "tp.daemonAdminService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "tp.fullname" .root }}-{{ .component }}-admin
  labels:
    {{- include "tp.labels" . | nindent 4 }}
    telemetry-pipeline/port: admin
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  ports:
    - {name: admin, port: {{ include "tp.port" (dict "env" .env "name" "ADMIN_PORT") }}, targetPort: admin}
  selector: {{- include "tp.selector" . | nindent 4 }}
{{- end -}}

{{- define "tp.daemonService" -}}
{{- $number := (index .ports 0).number -}}
{{- if ne (toString .values.service.targetPort) $number }}{{ fail (printf "%s.service.targetPort is %v, and the port in its env is %s: both are the port of the pod" .key .values.service.targetPort $number) }}{{ end -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "tp.fullname" .root }}-{{ .component }}
  labels: {{- include "tp.labels" . | nindent 4 }}
  {{- with .values.service.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .values.service.type }}
  ports:
    - name: http
      port: {{ .values.service.port }}
      targetPort: {{ .values.service.targetPort }}
  selector: {{- include "tp.selector" . | nindent 4 }}
{{- end -}}

{{- define "tp.daemonBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "tp.fullname" .root }}-{{ .component }}
  labels: {{- include "tp.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "tp.selector" . | nindent 6 }}
{{- end -}}

{{- define "tp.daemonAutoscaler" -}}
{{- $a := .values.autoscaling -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "tp.fullname" .root }}-{{ .component }}
  labels: {{- include "tp.labels" . | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ .kind }}
    name: {{ include "tp.fullname" .root }}-{{ .component }}
  minReplicas: {{ $a.minReplicas }}
  maxReplicas: {{ $a.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ $a.targetCPU }}}
    {{- if $a.external.enabled }}
    - type: External
      external:
        metric:
          name: {{ $a.external.metric }}
        target: {type: AverageValue, averageValue: {{ $a.external.averageValue | quote }}}
    {{- end }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 300
      policies:
        - {type: Pods, value: 1, periodSeconds: 60}
{{- end -}}

{{/* The pod of a daemon. */}}
{{- define "tp.daemonPod" -}}
metadata:
  labels:
    {{- include "tp.podLabels" . | nindent 4 }}
    {{- with .values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    # A change of settings is a rollout. Files that the daemons read again (principals, certificates) are not in it.
    checksum/config: {{ toYaml .env | sha256sum }}
    {{- if and .archive .root.Values.archive.credentials.accessKeyId }}
    checksum/archive: {{ include "tp.archiveSecretData" .root | sha256sum }}
    {{- end }}
    {{- with .values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "tp.fullname" .root }}-{{ .component }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 60
  securityContext: {{- include "tp.podSecurity" . | nindent 4 }}
  {{- include "tp.pullSecrets" .root | nindent 2 }}
  containers:
    - name: {{ .component }}
      image: {{ include "tp.image" (dict "root" .root "command" .command "image" .values.image) }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      securityContext: {{- include "tp.containerSecurity" . | nindent 8 }}
      envFrom:
        - configMapRef: {name: {{ include "tp.fullname" .root }}-{{ .component }}}
        {{- if .archive }}
        {{- with include "tp.archiveSecret" .root }}
        - secretRef: {name: {{ . }}}
        {{- end }}
        {{- end }}
      env: {{- include "tp.secretEnv" . | nindent 8 }}
      ports:
        {{- range .ports }}
        - {name: {{ .name }}, containerPort: {{ .number }}}
        {{- end }}
        - {name: admin, containerPort: {{ include "tp.port" (dict "env" .env "name" "ADMIN_PORT") }}}
      {{- include "tp.probes" .root | nindent 6 }}
      lifecycle:
        preStop:
          # Proxies learn meanwhile that the pod leaves; the image has no shell.
          sleep: {seconds: 5}
      resources: {{- toYaml .values.resources | nindent 8 }}
      volumeMounts:
        {{- include "tp.fileMounts" . | nindent 8 }}
        {{- with .mounts }}{{ . | nindent 8 }}{{ end }}
  volumes:
    {{- include "tp.fileVolumes" . | nindent 4 }}
    {{- with .volumes }}{{ . | nindent 4 }}{{ end }}
  topologySpreadConstraints: {{- include "tp.spread" (dict "root" .root "component" .component) | nindent 4 }}
  {{- include "tp.podPlacement" . | nindent 2 }}
{{- end -}}

{{/* Replicas of a daemon. With autoscaling they are the autoscaler's, but an object without the field would be set to one: then they are what
they are now, and left out of one that is not there. */}}
{{- define "tp.replicas" -}}
{{- if not .values.autoscaling.enabled -}}
replicas: {{ .values.replicaCount }}
{{- else -}}
{{- $there := lookup "apps/v1" .kind .root.Release.Namespace (printf "%s-%s" (include "tp.fullname" .root) .component) | default dict -}}
{{- with dig "spec" "replicas" "" $there -}}
replicas: {{ . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tp.daemonDeployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "tp.fullname" .root }}-{{ .component }}
  labels: {{- include "tp.labels" . | nindent 4 }}
spec:
  {{- include "tp.replicas" . | nindent 2 }}
  revisionHistoryLimit: 5
  # A collector of another model version is ready when it has folded everything again.
  progressDeadlineSeconds: 3600
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels: {{- include "tp.selector" . | nindent 6 }}
  template: {{- include "tp.daemonPod" . | nindent 4 }}
{{- end -}}
