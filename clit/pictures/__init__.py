"""Pictures: files to arrays and back, resizing, PSNR and SSIM."""
