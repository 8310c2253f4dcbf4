{{/* Routes to the services, for both forms. */}}
{{- define "tp.routes" }}
{{- /* Routes as JSON: component, service, port, host, paths. Arguments: root, values (of ingress or httpRoute), what. */}}
{{- $name := include "tp.fullname" .root }}
{{- $all := list }}
{{- range list (dict "key" "nexusStreamer" "own" .values.streamerHost "paths" (list "/api/v1/csv" "/api/v1/uploads")) (dict "key" "nexusGateway" "own" .values.gatewayHost "paths" (list "/")) }}
{{- $v := get $.root.Values .key }}
{{- if and $v.enabled $v.service.enabled }}
{{- $host := default $.values.host .own }}
{{- if not $host }}{{ fail (printf "%s needs host, or streamerHost and gatewayHost" $.what) }}{{ end }}
{{- $component := .key | kebabcase }}
{{- $all = append $all (dict "component" $component "service" (printf "%s-%s" $name $component) "port" $v.service.port "host" $host "paths" (ternary (list "/") .paths (ne .own ""))) }}
{{- end }}
{{- end }}
{{- dict "routes" $all | toJson }}
{{- end }}
