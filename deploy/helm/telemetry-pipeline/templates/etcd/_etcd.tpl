{{- define "tp.etcdName" -}}{{ include "tp.fullname" . }}-etcd{{- end -}}

{{/* Names that the certificate of a kind (server, peer) is for, as a JSON list: five members, so that it need not change. */}}
{{- define "tp.etcdDNSNames" -}}
{{- $name := include "tp.etcdName" . -}}
{{- $all := list "localhost" $name (printf "%s.%s.svc" $name .Release.Namespace) -}}
{{- range $i := until 5 -}}
{{- $all = append $all (printf "%s-%d.%s-headless.%s.svc" $name $i $name $.Release.Namespace) -}}
{{- end -}}
{{- toJson $all -}}
{{- end -}}

{{/* Secret with the certificate of a kind (server, peer) of the members. Arguments: root, kind. */}}
{{- define "tp.etcdMemberSecret" -}}
{{- if eq .root.Values.etcd.tls.mode "existing" -}}
{{- required (printf "etcd.tls.existing.%s is needed with etcd.tls.mode=existing" .kind) (get .root.Values.etcd.tls.existing .kind) -}}
{{- else -}}
{{- printf "%s-%s" (include "tp.etcdName" .root) .kind -}}
{{- end -}}
{{- end -}}

{{/* new until the cluster has been up: a member that lost its volume would begin a cluster of its own otherwise. */}}
{{- define "tp.etcdClusterState" -}}
{{- $there := lookup "apps/v1" "StatefulSet" .Release.Namespace (include "tp.etcdName" .) -}}
{{- $before := dig "metadata" "annotations" "telemetry-pipeline/cluster-state" "" ($there | default dict) -}}
{{- $ready := dig "status" "readyReplicas" 0 ($there | default dict) | int -}}
{{- if .Values.etcd.initialClusterState -}}
{{- .Values.etcd.initialClusterState -}}
{{- else if or (eq $before "existing") (gt (mul 2 $ready) (int .Values.etcd.replicaCount)) -}}
existing
{{- else -}}
new
{{- end -}}
{{- end -}}

{{- define "tp.etcdInitialCluster" -}}
{{- $name := include "tp.etcdName" . -}}
{{- $all := list -}}
{{- range $i := until (int .Values.etcd.replicaCount) -}}
{{- $all = append $all (printf "%s-%d=https://%s-%d.%s-headless.%s.svc:2380" $name $i $name $i $name $.Release.Namespace) -}}
{{- end -}}
{{- join "," $all -}}
{{- end -}}

{{/* The pod of a Job for etcd. Arguments: root, name, secret, container (YAML), volumes (YAML). */}}
{{- define "tp.etcdJobPod" -}}
metadata:
  labels: {{- include "tp.podLabels" (dict "root" .root "component" "etcd-jobs") | nindent 4 }}
spec:
  restartPolicy: OnFailure
  serviceAccountName: {{ include "tp.etcdName" .root }}-jobs
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {{- include "tp.podSecurity" . | nindent 4 }}
  {{- include "tp.pullSecrets" .root | nindent 2 }}
  containers:
    - name: {{ .name }}
      {{- .container | nindent 6 }}
      securityContext: {{- include "tp.containerSecurity" . | nindent 8 }}
      resources: {{- include "tp.jobResources" . | nindent 8 }}
      volumeMounts:
        - {name: etcd-client, mountPath: /etc/telemetry/etcd, readOnly: true}
        {{- with .mounts }}{{ . | nindent 8 }}{{ end }}
  volumes:
    - name: etcd-client
      secret:
        secretName: {{ include "tp.etcdClientSecret" (dict "root" .root "user" .user) }}
        defaultMode: 0440
    {{- with .volumes }}{{ . | nindent 4 }}{{ end }}
{{- end -}}

{{/* The pod of a Job that runs etcdctl as a user. Arguments: root, name, user, args (list). */}}
{{- define "tp.etcdctlPod" -}}
{{- $env := list (dict "name" "ETCDCTL_ENDPOINTS" "value" (include "tp.etcdEndpoints" .root)) -}}
{{- range $name, $file := dict "ETCDCTL_CACERT" "ca.crt" "ETCDCTL_CERT" "tls.crt" "ETCDCTL_KEY" "tls.key" -}}
{{- $env = append $env (dict "name" $name "value" (printf "/etc/telemetry/etcd/%s" $file)) -}}
{{- end -}}
{{- $container := dict "image" (include "tp.etcdImage" .root) "imagePullPolicy" .root.Values.image.pullPolicy "command" (list "/usr/local/bin/etcdctl") "args" .args "env" $env -}}
{{- include "tp.etcdJobPod" (merge (dict "container" (toYaml $container)) .) -}}
{{- end -}}

{{/* Environment of our commands that talk to etcd. Argument: root. */}}
{{- define "tp.etcdJobEnv" -}}
- {name: ETCD_ENDPOINTS, value: {{ include "tp.etcdEndpoints" . | quote }}}
- {name: ETCD_CA, value: /etc/telemetry/etcd/ca.crt}
- {name: ETCD_CERT, value: /etc/telemetry/etcd/tls.crt}
- {name: ETCD_KEY, value: /etc/telemetry/etcd/tls.key}
- {name: CLUSTER_ID, value: {{ .Values.clusterId | quote }}}
{{- with .Values.nexusCollector.env.ETCD_ROOT }}
- {name: ETCD_ROOT, value: {{ . | quote }}}
{{- end }}
{{- end -}}
