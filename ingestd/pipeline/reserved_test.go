package pipeline

import (
	"strings"
	"testing"

	"telemetry-pipeline/events"
	"telemetry-pipeline/ingestd/pipeline/pipelinetest"
)

// A record that joins a host to another one hides it, so no file of any dialect may hold one.
func TestNoUploadJoinsHosts(t *testing.T) {
	for name, text := range map[string]string{
		"dcgm-long":   pipelinetest.DCGMHeader + `"2025-07-18T20:42:34Z","host_joined","1","","","","h","","","","1","joined_to=""n"""` + "\n",
		"label":       "timestamp,gpu_id,Hostname,value,labels_raw\n" + `2025-07-18T20:42:34Z,1,h,1,"__name__=""host_joined"",joined_to=""n"""` + "\n",
		"nvidia-smi":  "timestamp, index, uuid, utilization.gpu [%], host_joined [%]\n2025/07/18 20:42:34.000, 1, GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52, 5 %, 1 %\n",
		"nvidia-dmon": "#Date       Time        gpu     sm   host_joined\n#YYYYMMDD   HH:MM:SS    Idx      %   %\n 20250718   20:42:34      1      5   1\n",
	} {
		log := pipelinetest.NewRecorder()
		rec, err := processFile(t, log, 1, map[string]string{"host": "h"}, strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		kept := 0
		for _, ev := range log.StoredEvents(t) {
			for _, c := range ev.Columns {
				if strings.Contains(c.Metric, events.HostJoined) {
					kept++
				}
			}
			if join, found := ev.Join(); found {
				t.Errorf("%s: an upload joins %s to %s", name, ev.Host, join.Node)
			}
		}
		if kept != 1 {
			t.Errorf("%s: %d metrics of that name are kept, want 1 under another name: %+v", name, kept, rec)
		}
	}
}
