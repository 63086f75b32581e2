package query

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var (
	absolute = regexp.MustCompile(`^(\d{4})-(\d{1,2})(?:-(\d{1,2}))?$`)
	relative = regexp.MustCompile(`^(\d{1,4})([hdw])$`)
)

var units = map[string]time.Duration{"h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}

// Date is the moment that a day (2026-03-01) or a month (2026-03) begins, in UTC,
// or that lies hours, days or weeks (12h, 7d, 4w) before now. The error is an
// [*Error] without a place.
func Date(text string, now time.Time) (time.Time, error) {
	if m := relative.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // at most four digits
		return now.UTC().Add(-time.Duration(n) * units[m[2]]), nil
	}
	m := absolute.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, noDate("“%s” is no date. Write a day such as 2026-03-01, a month such as 2026-03, or how long ago, such as 7d, 12h or 4w.", shorten(text))
	}
	year, _ := strconv.Atoi(m[1]) // digits
	month, _ := strconv.Atoi(m[2])
	day := 1
	if m[3] != "" {
		day, _ = strconv.Atoi(m[3])
	}
	if year < 1970 {
		return time.Time{}, noDate("History begins after 1970, so %s can't be meant.", text)
	}
	if month < 1 || month > 12 {
		return time.Time{}, noDate("There is no month %d, so %s is no date.", month, text)
	}
	at := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if at.Month() != time.Month(month) || day < 1 {
		return time.Time{}, noDate("There is no day %d in %s %d.", day, time.Month(month), year)
	}
	return at, nil
}

func noDate(format string, args ...any) *Error { return &Error{Message: fmt.Sprintf(format, args...)} }
