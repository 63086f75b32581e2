package access

import (
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/audit"
)

// A Device is a browser and the system that it runs on, as far as it says so.
type Device struct {
	Browser string // empty if unknown
	System  string // empty if unknown
}

// What browsers and systems are told by. Each names others too, so that the order
// counts.
var (
	browserTokens = [][2]string{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Version/", "Safari"},
	}
	systemTokens = [][2]string{
		{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// ReadDevice tells a device from what a browser says of itself. Anybody can write
// that.
func ReadDevice(agent string) Device {
	return Device{Browser: named(agent, browserTokens), System: named(agent, systemTokens)}
}

func named(agent string, tokens [][2]string) string {
	for _, t := range tokens {
		if strings.Contains(agent, t[0]) {
			return t[1]
		}
	}
	return ""
}

// String names the device: "Chrome on Windows", "Unknown browser on Linux".
func (d Device) String() string {
	name := d.Browser
	if name == "" {
		name = "Unknown browser"
	}
	if d.System != "" {
		name += " on " + d.System
	}
	return name
}

// Network is the part of an address that a place usually keeps: 24 bits of an
// IPv4 address, 48 of an IPv6 one. It is empty for what is no address.
func (o Origin) Network() string {
	addr, err := netip.ParseAddr(o.IP)
	if err != nil {
		return ""
	}
	addr = addr.Unmap().WithZone("")
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return ""
	}
	return prefix.String()
}

// DeviceLife is how long a device counts as known after it was last signed in from.
const DeviceLife = 90 * 24 * time.Hour

// A DeviceHash stands for a person's device in a network. It doesn't tell what
// they are.
type DeviceHash []byte

func (s *Service) deviceHash(userID string, from Origin) DeviceHash {
	d := ReadDevice(from.Agent)
	return s.keys.Digest([]byte(strings.Join([]string{"device", userID, d.Browser, d.System, from.Network()}, "\x00")))
}

// NewDeviceAction is the action of an entry that says that somebody signed in from
// a device that wasn't known.
const NewDeviceAction = "session.new_device"

// NewDevice is what is recorded beside a sign-in from a device that wasn't known.
func NewDevice(signIn audit.Event) audit.Event {
	signIn.Action = NewDeviceAction
	return signIn
}
