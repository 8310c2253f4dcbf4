package model_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"telemetry-pipeline/events/eventstest/model"
)

func connect(tb testing.TB, c *model.Client) *clientv3.Client {
	tb.Helper()
	client, err := c.Connect(nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { client.Close() })
	return client
}
