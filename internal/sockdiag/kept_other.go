//go:build !linux

package sockdiag

import (
	"errors"
	"os"
)

func dialWire(*os.File) (wire, error) { return nil, errors.ErrUnsupported }

func nsidOf(*os.File) (int32, error) { return 0, errors.ErrUnsupported }
