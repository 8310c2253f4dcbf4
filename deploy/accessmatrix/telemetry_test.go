package accessmatrix

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// Names of the telemetry. The ones of missing things are as long as the ones of foreign things.
const (
	ownHost, foreignHost, missingHost = "own-1", "foreign-1", "missing-1"

	ownUUID     = "GPU-0a000000-0000-0000-0000-000000000001"
	foreignUUID = "GPU-f0000000-0000-0000-0000-000000000001"
	missingUUID = "GPU-e0000000-0000-0000-0000-000000000001"
	sharedUUID  = "GPU-5a000000-0000-0000-0000-000000000001" // of foreign-1 first, then of own-1

	foreignMetric = "DCGM_FI_DEV_FOREIGN_ONLY"
)

// foreignWords are in nothing that a principal of own-* sees. Upper and lower case are the same.
func foreignWords() []string {
	return []string{"foreign-", "foreign_only", "gpu-f0000000", "31337", "secretmodel", "secretpod", "secretlabel", "999.88.77"}
}

// foreignWordIn returns a word of foreign telemetry in a text, "" if there is none.
func foreignWordIn(text string) string {
	text = strings.ToLower(text)
	for _, word := range foreignWords() {
		if strings.Contains(text, word) {
			return word
		}
	}
	return ""
}

const csvHeader = "timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n"

// telemetry writes an export.
type telemetry struct{ bytes.Buffer }

// addOwn adds readings of a GPU of an own host.
func (f *telemetry) addOwn(at time.Time, host string, gpu int, uuid string, value int) {
	for _, metric := range []string{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED"} {
		fmt.Fprintf(f, `%s,%s,%d,nvidia%d,%s,OwnModel,%s,,ownpod,,%d,"job=""own"""`+"\n", at.UTC().Format(time.RFC3339), metric, gpu, gpu, uuid, host, value)
	}
}

// addForeign adds readings of a GPU of a foreign host.
func (f *telemetry) addForeign(at time.Time, host string, gpu int, uuid string) {
	for _, metric := range []string{"DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", foreignMetric} {
		fmt.Fprintf(f, `%s,%s,%d,nvidia%d,%s,SecretModel,%s,,secretpod,,31337.5,"job=""secretlabel"",DCGM_FI_DRIVER_VERSION=""999.88.77"",secretlabel=""x"""`+"\n",
			at.UTC().Format(time.RFC3339), metric, gpu, gpu, uuid, host)
	}
}

// How much the own hosts have in history.
const (
	historySteps = 10
	historyStep  = 30 * time.Minute
	ownGPUs      = 3
	ownHosts     = 2
)

// fleetFile returns telemetry of own and foreign hosts over some hours up to now.
func fleetFile(now time.Time) []byte {
	var f telemetry
	f.WriteString(csvHeader)
	for i := range historySteps {
		at := now.Add(-time.Duration(historySteps-1-i) * historyStep)
		f.addOwn(at, ownHost, 0, ownUUID, i)
		f.addOwn(at, "own-2", 0, "GPU-0a000000-0000-0000-0000-000000000002", i)
		f.addForeign(at, foreignHost, 0, foreignUUID)
		f.addForeign(at, "foreign-2", 0, "GPU-f0000000-0000-0000-0000-000000000002")
		if i < historySteps/2 {
			f.addForeign(at, foreignHost, 1, sharedUUID)
		} else {
			f.addOwn(at, ownHost, 1, sharedUUID, i)
		}
	}
	return f.Bytes()
}

// oneReading returns an export of one moment of a host, own or foreign by its name.
func oneReading(at time.Time, host string, value int) []byte {
	var f telemetry
	f.WriteString(csvHeader)
	if strings.HasPrefix(host, "own") {
		f.addOwn(at, host, 0, ownUUID, value)
	} else {
		f.addForeign(at, host, 0, foreignUUID)
	}
	return f.Bytes()
}
