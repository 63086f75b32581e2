// Command driverversion prints the version of the Playwright driver that
// playwright-go expects.
package main

import (
	"log"
	"os"

	"github.com/playwright-community/playwright-go"
)

func main() {
	d, err := playwright.NewDriver(&playwright.RunOptions{DriverDirectory: os.TempDir()})
	if err != nil {
		log.Fatal(err)
	}
	_, _ = os.Stdout.WriteString(d.Version + "\n")
}
