package main

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// completeJobs reports jobs of a namespace as done, in place of the controller and the nodes that do not run here: helm waits for the jobs
// of its hooks. The jobs do nothing. It returns when ctx ends.
func (c *cluster) completeJobs(ctx context.Context, namespace string) {
	jobs := c.objects.Resource(resource("batch", "v1", "jobs")).Namespace(namespace)
	for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
		list, err := jobs.List(ctx, metav1.ListOptions{})
		if err != nil {
			continue // helm's wait ends with an error if it lasts
		}
		for _, job := range list.Items {
			if _, done, _ := unstructured.NestedString(job.Object, "status", "completionTime"); done {
				continue
			}
			job.Object["status"] = doneStatus(time.Now().UTC().Format(time.RFC3339))
			_, _ = jobs.UpdateStatus(ctx, &job, metav1.UpdateOptions{}) // the next round tries again
		}
	}
}

// doneStatus is the status of a job whose one pod succeeded.
func doneStatus(now string) map[string]any {
	condition := func(kind string) any {
		return map[string]any{"type": kind, "status": "True", "reason": "CompletionsReached", "lastProbeTime": now, "lastTransitionTime": now}
	}
	return map[string]any{
		"startTime": now, "completionTime": now, "succeeded": int64(1), "ready": int64(0), "terminating": int64(0), "uncountedTerminatedPods": map[string]any{},
		"conditions": []any{condition("SuccessCriteriaMet"), condition("Complete")},
	}
}
