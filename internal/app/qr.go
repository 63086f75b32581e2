package app

import (
	"strconv"
	"strings"

	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/qr"

	"gatehouse/web/templates"
)

// qrMargin is the light border around a QR code, in fields.
const qrMargin = 4

// qrView draws a text as a QR code.
func qrView(text string) (templates.QRView, error) {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return templates.QRView{}, err
	}
	side := code.Bounds().Dx()
	size := strconv.Itoa(side + 2*qrMargin)
	return templates.QRView{Size: size, Box: "-4 -4 " + size + " " + size, Path: darkPath(code, side)}, nil
}

// darkPath covers the dark fields, a run of them at a time.
func darkPath(code barcode.Barcode, side int) string {
	dark := func(x, y int) bool {
		if x >= side {
			return false
		}
		r, _, _, _ := code.At(x, y).RGBA()
		return r == 0
	}
	var b strings.Builder
	for y := range side {
		for x := 0; x < side; x++ {
			from := x
			for dark(x, y) {
				x++
			}
			if x == from {
				continue
			}
			run := strconv.Itoa(x - from)
			b.WriteString("M" + strconv.Itoa(from) + " " + strconv.Itoa(y) + "h" + run + "v1h-" + run + "z")
		}
	}
	return b.String()
}
