// Command apiserver checks the Helm chart against a real Kubernetes API server.
//
// In: the folder of the chart. Out: a report, and exit code 1 if anything in it is not as it should be.
//
// It builds kube-apiserver, etcd and helm from their Go modules, at the versions of this module's go.mod, and starts an etcd and an API
// server on loopback, with the custom resources of the Gateway API and of the Prometheus Operator. Then
//
//  1. it renders the chart with each of its values files and has the API server check every object: a server-side dry run, with unknown
//     fields refused, in a namespace that enforces the Pod Security level "restricted". Each pod template is checked as a Pod of its own;
//  2. it spoils some of these objects and checks that the API server refuses them, so that an acceptance means something;
//  3. it installs the chart with the command of the architecture document, upgrades it and rolls it back. These objects are stored. No controller
//     and no node runs: no pod is started, and the jobs of helm's hooks are reported as done without running.
//
// It is a Go module of its own: Kubernetes has 200 dependencies that nothing else here needs. The first run compiles for about
// ten minutes of one processor; later ones take less than a minute.
package main
