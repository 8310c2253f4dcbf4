package archive_test

import (
	"os"
	"testing"

	"telemetry-pipeline/events/archive/archivetest"
)

func TestMain(m *testing.M) {
	archivetest.FetchGateway("TestArchiveOnS3", "TestOpenOfABucketThatIsNotThere", "TestDamageOnS3IsReported")
	archivetest.FetchHyparquet("TestAnotherImplementationReadsTheSame")
	os.Exit(m.Run())
}
