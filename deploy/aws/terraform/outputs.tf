output "env" {
  description = "Lines for .env: terraform output -raw env > .env"
  value       = <<-EOT
    STACK=aws
    AWS_REGION=${data.aws_region.here.name}
    SQS_QUEUE_NAME=${aws_sqs_queue.videos.name}
    AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS=${var.visibility_timeout_seconds}
    STORAGE_BACKEND=s3
    AWS_S3_BUCKET=${aws_s3_bucket.videos.bucket}
    S3_UPLOAD_PREFIX=${var.upload_prefix}
    S3_PROCESSED_PREFIX=${var.processed_prefix}
  EOT
}

output "queue_url" {
  value = aws_sqs_queue.videos.url
}

output "worker_role_arn" {
  value = aws_iam_role.worker.arn
}

output "injector_role_arn" {
  value = aws_iam_role.injector.arn
}

output "exporters_role_arn" {
  value = aws_iam_role.exporters.arn
}

output "keda_role_arn" {
  description = "For the service account of KEDA's operator. Empty without oidc_provider_arn."
  value       = local.has_kubernetes ? aws_iam_role.keda[0].arn : ""
}

output "machine_instance_profile" {
  description = "For one machine that runs worker, injector and exporters."
  value       = aws_iam_instance_profile.machine.name
}

data "aws_region" "here" {}
