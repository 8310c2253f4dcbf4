package archive_test

import (
	"os"
	"testing"

	"telemetry-pipeline/events/archive/archivetest"
)

func TestMain(m *testing.M) {
	archivetest.FetchGateway("TestArchiveOnS3", "TestOpenOfABucketThatIsNotThere", "TestDamageOnS3IsTold")
	archivetest.FetchHyparquet("TestAnotherImplementationReadsTheSame")
	os.Exit(m.Run())
}
